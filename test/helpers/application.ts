import Database from "better-sqlite3";
import pg from "pg";

/** A database as an application uses it, whichever engine it is; nothing of Tombolo is between. */
export interface Application {
  /** One transaction. */
  write(sql: string): Promise<void>;
  /** Each row as its values with a space between, in order. */
  rows(sql: string): Promise<string[]>;
  close(): Promise<void>;
}

export async function postgresApplication(url: string): Promise<Application> {
  const client = new pg.Client({ connectionString: url });
  client.on("error", () => undefined);
  await client.connect();
  return {
    async write(sql) {
      await client.query(`begin; ${sql}; commit`).catch(async (error) => {
        await client.query("rollback");
        throw error;
      });
    },
    async rows(sql) {
      const { rows } = await client.query<unknown[]>({ text: sql, rowMode: "array" });
      return rows.map((row) => row.join(" "));
    },
    close: () => client.end(),
  };
}

export function sqliteApplication(path: string): Application {
  const database = new Database(path, { timeout: 30_000 });
  database.pragma("journal_mode = wal");
  return {
    async write(sql) {
      try {
        database.exec(`begin immediate; ${sql}; commit`);
      } catch (error) {
        if (database.inTransaction) database.exec("rollback");
        throw error;
      }
    },
    async rows(sql) {
      return (database.prepare(sql).raw().all() as unknown[][]).map((row) => row.join(" "));
    },
    async close() {
      database.close();
    },
  };
}
