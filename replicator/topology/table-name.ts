/** Where a table is, by its name in the topology. */
export interface TablePlace {
  readonly schema: string;
  readonly table: string;
}

/** One part of a name: plain (no dot, quote or white space; taken as it is, not folded), or anything in double quotes, with `""` for a quote. */
const PART = /"(?:[^"\0]|"")+"|[^".\s\0]+/;
/** `schema.table`, `table`, or either part in double quotes: `"My Schema"."a.b"`. */
export const TABLE_NAME = new RegExp(`^(${PART.source})(?:\\.(${PART.source}))?$`);

/** Postgres cuts longer names off without a word. */
const MAX_IDENTIFIER_BYTES = 63;

/** Null when the text is no table name. Without a schema it is `public`. */
export function parseTableName(text: string): TablePlace | null {
  const match = TABLE_NAME.exec(text);
  if (match?.[1] === undefined) return null;
  const place =
    match[2] === undefined ? { schema: "public", table: unquoted(match[1]) } : { schema: unquoted(match[1]), table: unquoted(match[2]) };
  const fits = [place.schema, place.table].every((part) => Buffer.byteLength(part) <= MAX_IDENTIFIER_BYTES);
  return fits ? place : null;
}

const unquoted = (part: string): string => (part.startsWith('"') ? part.slice(1, -1).replaceAll('""', '"') : part);

/** True for what belongs to a database itself or to Tombolo. */
export const isReservedSchema = (schema: string): boolean => /^(tombolo|information_schema|pg_.*)$/i.test(schema);
export const isReservedSqliteTable = (table: string): boolean => /^(tombolo_|sqlite_)/i.test(table);
