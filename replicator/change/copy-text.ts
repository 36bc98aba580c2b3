import type { Value } from "./value.ts";

/**
 * Rows as they travel in a full sync: the text format of Postgres' COPY, one line per row, columns apart by tabs, `\N` for NULL. A Postgres sends
 * what it prints. A SQLite marks each value by a letter in front of it: `s` text, `i` integer, `r` real, `b` blob in hex.
 */
export type CopyRows = AsyncIterable<Buffer>;

const SPECIAL = /[\\\n\r\t]/;
const ESCAPED: { readonly [character: string]: string } = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };
const CONTROL: { readonly [letter: string]: string } = { n: "\n", r: "\r", t: "\t", b: "\b", f: "\f", v: "\v" };
const NEWLINE = 10;

export function copyField(value: string | null): string {
  if (value === null) return "\\N";
  return SPECIAL.test(value) ? value.replace(/[\\\n\r\t]/g, (character) => ESCAPED[character] as string) : value;
}

/** What a field of a line means; of a line without a backslash it is the field itself. */
function fieldOf(field: string): string | null {
  if (field === "\\N") return null;
  if (!field.includes("\\")) return field;
  return field.replace(/\\(.)/gs, (_, letter: string) => CONTROL[letter] ?? letter);
}

/** The fields of a line. */
export function copyFields(line: string): (string | null)[] {
  const fields: (string | null)[] = line.split("\t");
  if (line.includes("\\")) for (let at = 0; at < fields.length; at++) fields[at] = fieldOf(fields[at] as string);
  return fields;
}

/** A value of a SQLite as a field, before escaping. */
export function taggedText(value: Exclude<Value, null>): string {
  if (typeof value === "string") return `s${value}`;
  if ("i" in value) return `i${value.i}`;
  return "r" in value ? `r${value.r}` : `b${value.b}`;
}

export function taggedValue(field: string | null): Value {
  if (field === null) return null;
  const text = field.slice(1);
  if (field.startsWith("s")) return text;
  if (field.startsWith("i")) return { i: text };
  return field.startsWith("r") ? { r: text } : { b: text };
}

/** The lines of what arrives in pieces, some at a time. A newline never stands inside a character of UTF-8, so that a piece is cut at its last. */
export async function* copyLines(rows: CopyRows): AsyncGenerator<readonly string[]> {
  let rest: Buffer[] = [];
  for await (const piece of rows) {
    const end = piece.lastIndexOf(NEWLINE);
    if (end < 0) {
      rest.push(piece);
      continue;
    }
    const head = piece.subarray(0, end);
    const text = (rest.length === 0 ? head : Buffer.concat([...rest, head])).toString("utf8");
    rest = end + 1 < piece.length ? [piece.subarray(end + 1)] : [];
    yield text.split("\n");
  }
}
