import { SqliteError } from "better-sqlite3";
import { TomboloError } from "../../change/error.ts";
import { columnTypeFor } from "../../change/values/column-type.ts";
import { toSqlite } from "../../change/values/to-sqlite.ts";
import type { WantedTable } from "../installation.ts";
import type { PresentColumn, TableColumns } from "../table-columns.ts";
import { type CapturedTable, capturedTables } from "./captured-tables.ts";
import type { Connection, DatabaseFile } from "./connection.ts";
import { quote } from "./identifier.ts";
import { literalToValue } from "./image.ts";
import { readTable } from "./shape.ts";

export class SqliteTableColumns implements TableColumns {
  readonly #file: DatabaseFile;

  constructor(file: DatabaseFile) {
    this.#file = file;
  }

  async of(wanted: readonly WantedTable[]): Promise<readonly (readonly PresentColumn[] | null)[]> {
    return this.#file.read((connection) => {
      const captured = capturedTables(connection);
      return wanted.map((table) => columnsOf(connection, table, captured.get(table.table)));
    });
  }

  async add(wanted: WantedTable, columns: readonly PresentColumn[]): Promise<void> {
    try {
      await this.#file.write((connection) => {
        const table = readTable(connection, wanted.local);
        if (table === null) return;
        const there = new Set([...table.columns.map(({ name }) => name), ...table.generated].map((name) => name.toLowerCase()));
        for (const column of columns) {
          if (there.has(column.name.toLowerCase())) continue;
          connection.exec(`alter table ${quote(table.name)} add column ${definition(connection, column, table.strict)}`);
        }
      });
    } catch (error) {
      if (!(error instanceof SqliteError) || error.code !== "SQLITE_ERROR") throw error;
      throw new TomboloError(`${columns.map(({ name }) => name).join(", ")} could not be added to ${wanted.local} of ${this.#file.node}`, {
        code: "COLUMN_NOT_ADDED",
        kind: "operator",
        hint: "add it by hand, then run `tombolo apply`",
        cause: error,
      });
    }
  }
}

/** @param captured undefined for a table that is not captured. */
function columnsOf(
  connection: Connection,
  { local, exclude }: WantedTable,
  captured: CapturedTable | undefined,
): readonly PresentColumn[] | null {
  const table = readTable(connection, local, exclude);
  if (table === null) return null;
  const found = connection.prepare("select name, dflt_value as text from pragma_table_info(?)").all(local) as Default[];
  const defaults = new Map(found.map(({ name, text }) => [name, text]));
  const known = captured && new Set(captured.columns.map(({ name }) => name));
  return table.columns.map((column) => ({
    ...column,
    engine: "sqlite" as const,
    initial: initialOf(connection, defaults.get(column.name) ?? null),
    captured: known?.has(column.name) ?? true,
  }));
}

interface Default {
  readonly name: string;
  readonly text: string | null;
}

/** SQLite adds a column with a constant default only, and takes that for the rows that are there; an expression was in the table from its beginning. */
function initialOf(connection: Connection, text: string | null): PresentColumn["initial"] {
  if (text === null) return null;
  if (text.startsWith("(") || /^current_/i.test(text)) return undefined;
  return literalToValue(connection.prepare(`select quote(${text})`).pluck().get() as string);
}

function definition(connection: Connection, column: PresentColumn, strict: boolean): string {
  const mapped = columnTypeFor(column, column.engine, "sqlite");
  const type = strict && mapped === "NUMERIC" ? "TEXT" : mapped;
  const plain = `${quote(column.name)} ${type}`;
  if (column.initial === undefined || column.initial === null) return plain;
  const value = toSqlite(column.initial, column, column.engine, { name: column.name, type, notNull: column.notNull }, strict);
  const added = `${plain} default ${connection.prepare("select quote(?)").pluck().get(value)}`;
  return column.notNull ? `${added} not null` : added;
}
