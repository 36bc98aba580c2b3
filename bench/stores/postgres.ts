import { createHash } from "node:crypto";
import pg from "pg";
import type { Digest, Store } from "./store.ts";
import { comparable, readList, TABLES, type TableName } from "./tables.ts";

export class PostgresStore implements Store {
  readonly engine = "postgres";
  readonly location: string;
  readonly #client: pg.Client;

  private constructor(url: string, client: pg.Client) {
    this.location = url;
    this.#client = client;
  }

  static async open(url: string): Promise<PostgresStore> {
    const client = new pg.Client({ connectionString: url, application_name: "bench observer" });
    await client.connect();
    return new PostgresStore(url, client);
  }

  async marker(id: number): Promise<string | null> {
    const text = "select note from bench where id = $1";
    const { rows } = await this.#client.query<{ note: string }>({ name: "marker", text, values: [id] });
    return rows[0]?.note ?? null;
  }

  async idsAfter(id: number): Promise<readonly number[]> {
    const text = "select id from bench where id > $1 order by id";
    const { rows } = await this.#client.query<[string]>({ name: "after", text, values: [id], rowMode: "array" });
    return rows.map(([value]) => Number(value));
  }

  async digest(name: TableName): Promise<Digest> {
    const table = TABLES[name];
    const hash = createHash("sha256");
    const text = `select ${readList(table, "postgres")} from ${name} where id > $1 order by ${name}.id limit ${table.page}`;
    let rows = 0;
    for (let last = "-10"; ; ) {
      const page = await this.#client.query<string[]>({ name: `page of ${name}`, text, values: [last], rowMode: "array" });
      for (const row of page.rows) hash.update(comparable(table, "postgres", row));
      rows += page.rows.length;
      last = page.rows.at(-1)?.[0] ?? last;
      if (page.rows.length < table.page) return { rows, sha256: hash.digest("hex") };
    }
  }

  /** Position in the write-ahead log of the whole server. */
  async written(): Promise<number> {
    return this.number("select pg_current_wal_insert_lsn() - '0/0'");
  }

  /** One-off statements of a system that sets itself up. */
  async run(sql: string): Promise<void> {
    await this.#client.query(sql);
  }

  /** The one number that a query answers; 0 for none. */
  async number(sql: string): Promise<number> {
    const { rows } = await this.#client.query<[string | null]>({ text: sql, rowMode: "array" });
    return Number(rows[0]?.[0] ?? 0);
  }

  /** Server processes of this database, or of a query that answers `pid`s. */
  async pids(text: string): Promise<readonly number[]> {
    const { rows } = await this.#client.query<{ pid: number }>(text);
    return rows.map(({ pid }) => pid);
  }

  async close(): Promise<void> {
    await this.#client.end();
  }
}
