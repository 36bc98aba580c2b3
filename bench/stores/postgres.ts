import { createHash } from "node:crypto";
import pg from "pg";
import { type Digest, MARKER_ID, type Store } from "./store.ts";

const PAGE = 20_000;

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

  async marker(): Promise<string | null> {
    const text = "select note from bench where id = $1";
    const { rows } = await this.#client.query<{ note: string }>({ name: "marker", text, values: [MARKER_ID] });
    return rows[0]?.note ?? null;
  }

  async idsAfter(id: number): Promise<readonly number[]> {
    const text = "select id from bench where id > $1 order by id";
    const { rows } = await this.#client.query<[string]>({ name: "after", text, values: [id], rowMode: "array" });
    return rows.map(([value]) => Number(value));
  }

  async digest(): Promise<Digest> {
    const hash = createHash("sha256");
    const text = `select id::text, customer, amount::text, (extract(epoch from at) * 1000)::bigint::text, note
                    from bench where id > $1 order by bench.id limit ${PAGE}`;
    let rows = 0;
    for (let last = "-1"; ; ) {
      const page = await this.#client.query<string[]>({ name: "page", text, values: [last], rowMode: "array" });
      for (const row of page.rows) hash.update(`${row.join("\u001f")}\n`);
      rows += page.rows.length;
      last = page.rows.at(-1)?.[0] ?? last;
      if (page.rows.length < PAGE) return { rows, sha256: hash.digest("hex") };
    }
  }

  /** Position in the write-ahead log of the whole server. */
  async written(): Promise<number> {
    const { rows } = await this.#client.query<{ bytes: string }>("select pg_current_wal_insert_lsn() - '0/0' as bytes");
    return Number(rows[0]!.bytes);
  }

  /** One-off statements of a system that sets itself up. */
  async run(sql: string): Promise<void> {
    await this.#client.query(sql);
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
