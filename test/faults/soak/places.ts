import Database from "better-sqlite3";
import pg from "pg";

/** A database as its application uses it. A write is one transaction; what it is given answers rows as arrays. */
export interface Place {
  readonly name: string;
  readonly kind: "hub" | "replica" | "store" | "edge";
  /** Throws what the database says; `sent`: the commit was under way then. */
  write(work: (run: Run) => Promise<void>): Promise<{ readonly sent: boolean; readonly error: unknown } | null>;
  rows(sql: string): Promise<unknown[][]>;
  close(): Promise<void>;
}
export type Run = (sql: string, ...values: unknown[]) => Promise<unknown[][]>;

const placed = (sql: string): string => {
  let at = 0;
  return sql.replaceAll("?", () => `$${++at}`);
};

/** Connections are made anew after a crash. `connections`: writers at once. */
export function postgresPlace(name: string, kind: Place["kind"], url: string, connections: number): Place {
  const pool = new pg.Pool({ connectionString: url, max: connections + 1, connectionTimeoutMillis: 5_000 });
  pool.on("error", () => undefined);
  pool.on("connect", (client) => client.on("error", () => undefined));
  return {
    name,
    kind,
    async write(work) {
      let sent = false;
      let client: pg.PoolClient | undefined;
      try {
        client = await pool.connect();
        const own = client;
        await own.query("begin");
        await work(async (sql, ...values) => (await own.query({ text: placed(sql), values, rowMode: "array" })).rows);
        sent = true;
        await own.query("commit");
        own.release();
        return null;
      } catch (error) {
        client?.release(true);
        return { sent, error };
      }
    },
    rows: async (sql) => (await pool.query({ text: sql, rowMode: "array" })).rows,
    close: () => pool.end(),
  };
}

/** Of statements that do not wait for anything: SQLite answers at once. */
export function sqlitePlace(name: string, kind: Place["kind"], path: string, schema: string): Place {
  const database = new Database(path, { timeout: 10_000 });
  database.pragma("journal_mode = wal");
  database.pragma("synchronous = normal");
  database.exec(schema);
  const statements = new Map<string, Database.Statement>();
  const prepared = (sql: string): Database.Statement => {
    const known = statements.get(sql) ?? database.prepare(sql);
    statements.set(sql, known);
    return known;
  };
  const run: Run = async (sql, ...values) => {
    const statement = prepared(sql);
    if (statement.reader) return statement.raw().all(...values) as unknown[][];
    statement.run(...values);
    return [];
  };
  return {
    name,
    kind,
    async write(work) {
      try {
        database.exec("begin immediate");
        await work(run);
        database.exec("commit");
        return null;
      } catch (error) {
        if (database.inTransaction) database.exec("rollback");
        return { sent: false, error };
      }
    },
    rows: async (sql) => prepared(sql).raw().all() as unknown[][],
    close: async () => {
      database.close();
    },
  };
}
