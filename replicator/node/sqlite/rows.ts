import type { Statement as AnyStatement } from "better-sqlite3";
import type { Column } from "../../change/shape.ts";
import type { Row, Value } from "../../change/value.ts";
import type { compileToSqlite } from "../../change/values/to-sqlite.ts";
import { exactLiteral, imageOf, keyColumns } from "./capture.ts";
import type { Connection } from "./connection.ts";
import { quote } from "./identifier.ts";
import { type Image, imageOfBytes, imageToRow, literalToValue, mayBeDamaged, splitImage } from "./image.ts";

type Statement = AnyStatement<unknown[]>;

export type Bindable = ReturnType<ReturnType<typeof compileToSqlite>>;

/** A table as far as its rows are read and written. */
export interface RowTable {
  readonly local: string;
  readonly columns: readonly Column[];
  readonly key: readonly string[];
}

/** A SQLite value as it is bound. */
export function stored(value: Value): Bindable {
  if (value === null || typeof value === "string") return value;
  if ("i" in value) return BigInt(value.i);
  return "r" in value ? Number(value.r) : Buffer.from(value.b, "hex");
}

/** What is bound as a `Value`. */
export function boundValue(bound: Bindable): Value {
  if (bound === null || typeof bound === "string") return bound;
  if (typeof bound === "bigint") return { i: bound.toString() };
  return typeof bound === "number" ? { r: String(bound) } : { b: bound.toString("hex") };
}

/** Where a row is by its key, as its columns compare keys. */
export const keyCondition = (table: RowTable): string => table.key.map((name) => `${quote(name)} = ?`).join(" and ");

export interface FoundRow {
  readonly key: Image;
  readonly image: Image;
}

/** The row of a key; undefined when there is none. */
export function findRow(connection: Connection, table: RowTable, key: readonly Bindable[]): FoundRow | undefined {
  const name = quote(table.local);
  const condition = keyCondition(table);
  const sql = `select ${imageOf(keyColumns(table), name)}, ${imageOf(table.columns, name)} from ${name} where ${condition}`;
  const found = prepared(connection, sql)
    .raw()
    .get(...key) as [string, string] | undefined;
  if (found === undefined) return undefined;
  if (!mayBeDamaged(found[1])) return { key: found[0], image: found[1] };
  const exact = prepared(
    connection,
    `select cast(${imageOf(keyColumns(table), name)} as blob), cast(${imageOf(table.columns, name)} as blob) from ${name} where ${condition}`,
  );
  const [keyBytes, bytes] = exact.raw().get(...key) as [Buffer, Buffer];
  return { key: imageOfBytes(keyBytes), image: imageOfBytes(bytes) };
}

/** The image of the row with exactly this key (not one that compares equal to it, as under NOCASE); null when there is none. */
export function currentImage(connection: Connection, table: RowTable, key: Image): Image | null {
  const found = findRow(
    connection,
    table,
    splitImage(key).map((literal) => stored(literalToValue(literal))),
  );
  return found?.key === key ? found.image : null;
}

/** The key of a row that may not exist, as the log writes it. */
export function keyImage(connection: Connection, table: RowTable, key: readonly Bindable[]): Image {
  const literals = table.key.map(() => `(select ${exactLiteral("v")} from (select ? as v))`);
  return prepared(connection, `select ${literals.join(" || ',' || ")}`)
    .pluck()
    .get(...key) as Image;
}

/** The same without SQLite, for the usual keys; undefined where it has to be asked, as for a REAL. */
export function quickImage(key: readonly Bindable[]): Image | undefined {
  const literals: string[] = [];
  for (const value of key) {
    if (typeof value === "bigint") literals.push(value.toString());
    else if (typeof value === "string" && !value.includes("\0")) literals.push(`'${value.replaceAll("'", "''")}'`);
    else return undefined;
  }
  return literals.join(",");
}

export const rowOf = (table: RowTable, found: FoundRow | undefined): Row | null =>
  found === undefined ? null : imageToRow(found.image, table.columns);

const cache = new WeakMap<Connection, Map<string, Statement>>();

/** A statement, prepared once per connection. Callers set its mode (raw, pluck) before each use. */
export function prepared(connection: Connection, sql: string): Statement {
  let statements = cache.get(connection);
  if (statements === undefined) {
    statements = new Map();
    cache.set(connection, statements);
  }
  let statement = statements.get(sql);
  if (statement === undefined) {
    // statements of tables with ever other columns would pile up
    if (statements.size > 2_000) statements.clear();
    statement = connection.prepare(sql);
    statements.set(sql, statement);
  }
  return statement;
}
