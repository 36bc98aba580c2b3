import { TomboloError } from "../change/error.ts";
import type { RowFilter } from "../change/row-filter.ts";
import type { Column, TableShape } from "../change/shape.ts";
import { columnKind } from "../change/values/affinity.ts";
import { postgresType } from "../change/values/postgres-type.ts";
import { sameBytes } from "../change/values/same-bytes.ts";
import type { DigestTable } from "./digest.ts";

/** One table, as each of two nodes digests it. */
export interface DigestPair {
  readonly parent: DigestTable;
  readonly child: DigestTable;
}

/**
 * How a table of two nodes is compared: the same columns in the same order on both sides, values as the Postgres of the two prints them. `filter` is the
 * parent's; the child holds no other rows. `near`: this process asks both. Throws `SHAPES_DIFFER` (operator) where a column that travels, or the key, is not the same on both.
 */
export function digestPair(
  parent: TableShape,
  child: TableShape,
  { filter, near }: { readonly filter: RowFilter | null; readonly near: boolean },
): DigestPair {
  const anyCase = parent.engine === "sqlite" || child.engine === "sqlite";
  const sameName = (a: string, b: string): boolean => a === b || (anyCase && a.toLowerCase() === b.toLowerCase());
  const childColumn = (name: string): Column | undefined => child.columns.find((column) => sameName(column.name, name));
  const pairs = parent.columns.map((above) => ({ above, below: childColumn(above.name) }));
  const missing = [
    ...pairs.filter(({ below }) => below === undefined).map(({ above }) => above.name),
    ...child.columns.filter(({ name }) => !parent.columns.some((column) => sameName(column.name, name))).map(({ name }) => name),
  ];
  if (missing.length > 0) throw shapesDiffer(parent, `only one of the two nodes has ${missing.join(", ")}`);
  const key = parent.key.map((name) => child.key.find((other) => sameName(name, other)));
  if (key.includes(undefined) || child.key.length !== parent.key.length)
    throw shapesDiffer(parent, "its key is not the same on both nodes");
  const columns = pairs as { above: Column; below: Column }[];
  const keyed = columns.filter(({ above }) => parent.key.includes(above.name));
  const order = keyed.every(({ above, below }) => sortsAlike(above, below, parent, child)) ? "key" : "hash";
  const servers = parent.engine === "postgres" && child.engine === "postgres";
  const asSent = near && servers && columns.every(({ above, below }) => sameBytes(above, below) && !isDomain(above));
  const like = (other: TableShape, column: Column): Column | null => (other.engine === "postgres" ? column : null);
  return {
    parent: {
      table: parent.table,
      columns: columns.map(({ above, below }) => ({ name: above.name, like: like(child, below) })),
      key: parent.key,
      order,
      asSent,
      filter,
    },
    child: {
      table: child.table,
      columns: columns.map(({ above, below }) => ({ name: below.name, like: like(parent, above) })),
      key: key as string[],
      order,
      asSent,
      filter: null,
    },
  };
}

const WHOLE = new Set(["int2", "int4", "int8"]);

/** Whole numbers, and UUIDs (lower case in SQLite, where they are texts), have one order everywhere; texts have as many as there are collations. */
function sortsAlike(above: Column, below: Column, parent: TableShape, child: TableShape): boolean {
  const sides = [
    { column: above, shape: parent },
    { column: below, shape: child },
  ];
  const bases = sides.flatMap(({ column, shape }) => (shape.engine === "postgres" ? [postgresType(column).base] : []));
  const kinds = sides.flatMap(({ column, shape }) => (shape.engine === "sqlite" ? [columnKind(column.type, false)] : []));
  if (bases.length > 0 && bases.every((base) => base === "uuid")) return true;
  return bases.every((base) => WHOLE.has(base)) && kinds.every((kind) => kind === "number");
}

/** A record is sent with the numbers of its columns' types, and only those of the server's own are the same everywhere. */
function isDomain({ base, ...shown }: Column): boolean {
  return postgresType(shown).base !== base;
}

const shapesDiffer = ({ table }: TableShape, what: string): TomboloError =>
  new TomboloError(`${table} cannot be compared: ${what}`, {
    code: "SHAPES_DIFFER",
    kind: "operator",
    hint: "give both tables the same columns and the same key, or keep a column at home with `exclude`; then run `tombolo apply`",
  });
