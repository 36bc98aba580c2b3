import Database, { type Statement } from "better-sqlite3";
import { columnsOf, filterCondition } from "../../change/filter-text.ts";
import type { RowFilter } from "../../change/row-filter.ts";
import type { Column } from "../../change/shape.ts";
import { filterFailed } from "../filter-fault.ts";
import type { Connection } from "./connection.ts";
import { declaredCollations } from "./declared-collations.ts";
import { quote } from "./identifier.ts";
import type { Bindable } from "./rows.ts";
import { readTable } from "./shape.ts";

/** A table as far as a filter sees it: the columns that travel, and nothing else of it. */
export interface FilteredTable {
  readonly local: string;
  readonly columns: readonly Column[];
  readonly strict: boolean;
  /** By name in lower case; a column that is missing has BINARY. */
  readonly collations: ReadonlyMap<string, string>;
}

export function filteredTable(connection: Connection, table: Pick<FilteredTable, "local" | "columns">): FilteredTable {
  const sql = connection
    .prepare("select sql from sqlite_schema where type = 'table' and name = ? collate nocase")
    .pluck()
    .get(table.local) as string | undefined;
  const strict = readTable(connection, table.local)?.strict ?? false;
  return { local: table.local, columns: table.columns, strict, collations: declaredCollations(sql ?? "") };
}

/** The filter as a condition on columns that are in scope, and the values that it binds, in order. */
export function condition(filter: RowFilter): { sql: string; values: string[] } {
  return filterCondition(filter, "sqlite", () => "?");
}

/**
 * `create table` for a table whose columns compare as the real one's do: same affinity, same collation, no constraint. Without a rowid, so that a filter
 * can't mean it. `more` columns have neither affinity nor collation, as a parameter has none.
 */
export function lookalike({ local, columns, strict, collations }: FilteredTable, more: readonly string[] = []): string {
  const own = columns.map(({ name, type }) => {
    const collation = collations.get(name.toLowerCase());
    // ANY takes everything as it is in a STRICT table, and is numeric in an ordinary one
    const declared = strict && type.toUpperCase() === "ANY" ? "" : type;
    return `${quote(name)}${declared === "" ? "" : ` ${quote(declared)}`}${collation === undefined ? "" : ` collate ${quote(collation)}`}`;
  });
  const all = ["tombolo_row integer primary key", ...own, ...more.map(quote)];
  return `create table ${quote(local)} (${all.join(", ")}) without rowid`;
}

/** A value of a row, or the bytes of a text that is not UTF-8, which no string holds. */
export type Held = Bindable | { readonly text: Buffer };

/** Whether a row is one of a filter's. */
export interface RowTest {
  /** The columns that it looks at. */
  readonly columns: readonly string[];
  /** `row` has the values of these columns, in this order. */
  has(row: readonly Held[]): boolean;
}

/**
 * A test for rows that are in no table (images of the log, rows that come in), which answers exactly as the table itself would: rows go through
 * a table of the same columns in a database of its own, in memory. Throws `FILTER_INVALID` (operator), and what SQLite throws for a
 * filter that it does not take.
 */
export function rowTest(table: FilteredTable, filter: RowFilter): RowTest {
  const { sql, values } = condition(filter);
  const columns = columnsOf(filter.text, "sqlite", table.columns);
  const bench = benchFor({ ...table, columns }, sql);
  return {
    columns: columns.map(({ name }) => name),
    has(row) {
      put(bench, row);
      try {
        return bench.ask.get(...values) === 1n;
      } catch (error) {
        throw error instanceof Database.SqliteError ? filterFailed([table.local], error.message) : error;
      }
    },
  };
}

/** Where rows are looked at: a table of one row. */
interface Bench {
  readonly database: Connection;
  readonly table: FilteredTable;
  readonly put: Statement;
  readonly ask: Statement;
}

/** Links that differ in their parameters alone share one. What is dropped is closed when nobody holds it any more. */
const benches = new Map<string, Bench>();
const MOST_BENCHES = 200;

function benchFor(table: FilteredTable, sql: string): Bench {
  const create = lookalike(table);
  const id = `${create}\0${sql}`;
  const known = benches.get(id);
  if (known !== undefined) return known;
  const database = new Database(":memory:");
  database.defaultSafeIntegers();
  database.exec(create);
  const ask = database.prepare(`select ${sql} from ${quote(table.local)}`).pluck();
  const bench = { database, table, put: database.prepare(putSql(table, () => "?")), ask };
  const [oldest] = benches.keys();
  if (benches.size >= MOST_BENCHES && oldest !== undefined) benches.delete(oldest);
  benches.set(id, bench);
  return bench;
}

const isBytes = (value: Held | undefined): value is { readonly text: Buffer } =>
  typeof value === "object" && value !== null && "text" in value;

function put({ database, table, put: usual }: Bench, row: readonly Held[]): void {
  if (row.some(isBytes)) {
    const values = row.map((value) => (isBytes(value) ? value.text : value));
    database.prepare(putSql(table, (at) => (isBytes(row[at]) ? "cast(? as text)" : "?"))).run(...values);
  } else usual.run(...row);
}

const putSql = ({ local, columns }: FilteredTable, place: (at: number) => string): string =>
  `insert or replace into ${quote(local)} (tombolo_row${columns.map(({ name }) => `, ${quote(name)}`).join("")})
    values (1${columns.map((_, at) => `, ${place(at)}`).join("")})`;
