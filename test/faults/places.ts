import { rmSync } from "node:fs";
import Database from "better-sqlite3";
import pg from "pg";

/** A database as its application uses it. */
export interface Place {
  readonly name: string;
  readonly kind: "hub" | "replica" | "store" | "edge";
  /** One transaction. Answers what the database says against it; `sent`: the commit was under way then. */
  write(work: Work): Promise<{ readonly sent: boolean; readonly error: unknown } | null>;
  /** Rows as arrays. */
  rows(sql: string): Promise<unknown[][]>;
  close(): Promise<void>;
}

/** The statements of a transaction; each gives the rows that it answers, as arrays. A generator, so that SQLite runs it without letting anyone in between. */
export type Work = () => Generator<Statement, void, unknown[][]>;
export type Statement = readonly [sql: string, ...values: unknown[]];

/** A database in a file, which may be copied, and put back to a copy. */
export interface FilePlace extends Place {
  readonly path: string;
  copyTo(path: string): Promise<void>;
  /** Nobody else may have it open. */
  replaceBy(path: string): Promise<void>;
}

const placed = (sql: string): string => {
  let at = 0;
  return sql.replaceAll("?", () => `$${++at}`);
};

/** Connections are made anew after a crash. `connections`: writers at once. */
export function postgresPlace(name: string, kind: Place["kind"], url: string, connections: number): Place {
  // an application does not wait for ever: a prepared transaction may hold what it wants
  const pool = new pg.Pool({ connectionString: url, max: connections + 1, connectionTimeoutMillis: 5_000, lock_timeout: 2_000 });
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
        await client.query("begin");
        const statements = work();
        for (let next = statements.next(); !next.done; ) {
          const [sql, ...values] = next.value;
          next = statements.next((await client.query({ text: placed(sql), values, rowMode: "array" })).rows);
        }
        sent = true;
        await client.query("commit");
        client.release();
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

interface FileOptions {
  readonly schema: string;
  /** How long it waits for another writer, whose process may have been stopped; nothing else goes on here meanwhile. */
  readonly timeoutMs?: number;
}

export function sqlitePlace(name: string, kind: Place["kind"], path: string, { schema, timeoutMs = 10_000 }: FileOptions): FilePlace {
  let database = opened(path, timeoutMs);
  database.exec(schema);
  let statements = new Map<string, Database.Statement>();
  const prepared = (sql: string): Database.Statement => {
    const known = statements.get(sql) ?? database.prepare(sql);
    statements.set(sql, known);
    return known;
  };
  const run = ([sql, ...values]: Statement): unknown[][] => {
    const statement = prepared(sql);
    if (statement.reader) return statement.raw().all(...values) as unknown[][];
    statement.run(...values);
    return [];
  };
  return {
    name,
    kind,
    path,
    async write(work) {
      try {
        database.exec("begin immediate");
        const steps = work();
        for (let next = steps.next(); !next.done; ) next = steps.next(run(next.value));
        database.exec("commit");
        return null;
      } catch (error) {
        if (database.inTransaction) database.exec("rollback");
        return { sent: false, error };
      }
    },
    rows: async (sql) => prepared(sql).raw().all() as unknown[][],
    async copyTo(copy) {
      await database.backup(copy);
    },
    async replaceBy(copy) {
      database.close();
      for (const suffix of ["", "-wal", "-shm"]) rmSync(`${path}${suffix}`, { force: true });
      const source = new Database(copy, { readonly: true });
      await source.backup(path);
      source.close();
      database = opened(path, timeoutMs);
      statements = new Map();
    },
    close: async () => {
      database.close();
    },
  };
}

function opened(path: string, timeout: number): Database.Database {
  const database = new Database(path, { timeout });
  database.pragma("journal_mode = wal");
  database.pragma("synchronous = normal");
  return database;
}
