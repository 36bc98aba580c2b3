import Sqlite from "better-sqlite3";
import pg from "pg";

/** A value as the demo reads it: the text of it, whatever the engine. */
export type Fields = { readonly [column: string]: string | null };

/**
 * The shop's database as an application opens it: through the engine's ordinary driver, knowing nothing of Tombolo. One
 * statement serves both engines: tables without schema, parameters `$1`, `$2`, … One caller at a time.
 */
export interface ShopDatabase {
  query(sql: string, parameters?: readonly (string | number)[]): Promise<readonly Fields[]>;
  /** Runs statements that take no parameters, separated by semicolons. */
  script(sql: string): Promise<void>;
  transaction(work: () => Promise<void>): Promise<void>;
  close(): Promise<void>;
}

/** `postgres://…`, or the path of a SQLite file, which is made when it is missing. */
export async function openShop(location: string): Promise<ShopDatabase> {
  return location.startsWith("postgres://") ? openPostgres(location) : openSqlite(location);
}

async function openPostgres(url: string): Promise<ShopDatabase> {
  const client = new pg.Client({
    connectionString: url,
    application_name: "shop",
    options: "-c search_path=shop,public -c timezone=UTC -c datestyle=ISO",
    types: { getTypeParser: () => (text: string) => text },
  });
  // a server that stops ends the connection; the next statement says so
  client.on("error", () => undefined);
  await client.connect();
  return withTransaction({
    query: async (sql, parameters = []) => (await client.query<Fields>(sql, [...parameters])).rows,
    script: async (sql) => {
      await client.query(sql);
    },
    begin: "begin",
    close: () => client.end(),
  });
}

async function openSqlite(path: string): Promise<ShopDatabase> {
  const database = new Sqlite(path, { timeout: 10_000 });
  database.pragma("journal_mode = wal");
  database.pragma("foreign_keys = on");
  // integers beyond 2^53 keep their last digits
  database.defaultSafeIntegers();
  return withTransaction({
    query: async (sql, parameters = []) => {
      const statement = database.prepare(sql);
      const named = Object.fromEntries(parameters.map((value, index) => [String(index + 1), value]));
      const bound = parameters.length === 0 ? [] : [named];
      if (!statement.reader) {
        statement.run(...bound);
        return [];
      }
      return (statement.all(...bound) as { [column: string]: unknown }[]).map(textFields);
    },
    script: async (sql) => {
      database.exec(sql);
    },
    // takes the write lock at once: two writers that both read first could never both go on
    begin: "begin immediate",
    close: async () => {
      database.close();
    },
  });
}

const textFields = (row: { [column: string]: unknown }): Fields =>
  Object.fromEntries(Object.entries(row).map(([column, value]) => [column, value === null ? null : String(value)]));

function withTransaction(database: Omit<ShopDatabase, "transaction"> & { readonly begin: string }): ShopDatabase {
  const { begin, ...rest } = database;
  return {
    ...rest,
    transaction: async (work) => {
      await database.script(begin);
      try {
        await work();
        await database.script("commit");
      } catch (error) {
        await database.script("rollback").catch(() => undefined);
        throw error;
      }
    },
  };
}
