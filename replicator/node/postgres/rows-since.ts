import type pg from "pg";
import { to } from "pg-copy-streams";
import type { CopyRows } from "../../change/copy-text.ts";
import { textArray } from "./array-literal.ts";
import type { CapturedTable } from "./captured-tables.ts";
import { typed } from "./column-sql.ts";
import { ident, literal } from "./identifier.ts";
import { postgresError } from "./postgres-error.ts";
import { RowCursor } from "./row-cursor.ts";
import { columnNamed } from "./set-statements.ts";

/** Keys of one statement: they stand in it. */
const BATCH = 2_000;

/**
 * The rows of a table that the log has news of from one tick to another. It is read beside the transaction that has the rows as they are at the later one: what a slot had
 * yet to log when that took its snapshot is in the log by now, and that snapshot does not show it.
 */
export class RowsSince {
  readonly #pool: pg.Pool;
  readonly #table: CapturedTable;
  readonly #changes: string;
  readonly #keys: string;

  /** `since`, `upTo`: snapshots of the ticks, as text. */
  constructor(options: {
    readonly pool: pg.Pool;
    readonly hstore: string;
    readonly table: CapturedTable;
    readonly since: string;
    readonly upTo: string;
  }) {
    const { table, hstore } = options;
    const [since, upTo] = [options.since, options.upTo].map((text) => `${literal(text)}::pg_snapshot`);
    this.#pool = options.pool;
    this.#table = table;
    this.#changes = `tombolo.change c where c.table_id = ${table.id} and c.target is null and c.xid >= pg_snapshot_xmin(${since})
      and not pg_visible_in_snapshot(c.xid, ${since}) and pg_visible_in_snapshot(c.xid, ${upTo})`;
    const keys = table.key.map(
      (name) => `${typed(`(c.key operator(${hstore}.->) ${literal(name)})`, columnNamed(table, name))} as ${ident(name)}`,
    );
    this.#keys = `select distinct ${keys.join(", ")} from ${this.#changes}`;
  }

  /** Nobody can say which rows those are. */
  async wereTruncated(): Promise<boolean> {
    const { rows } = await this.#pool
      .query<{ truncated: string }>(`select exists (select from ${this.#changes} and c.op = 'T') as truncated`)
      .catch((error: unknown) => {
        throw postgresError(error);
      });
    return rows[0]?.truncated === "t";
  }

  /** Their keys, in the text format of COPY. */
  keys(): CopyRows {
    return this.#with((client) => client.query(to(`copy (${this.#keys}) to stdout`)) as AsyncIterable<Buffer>);
  }

  /** Conditions that a row's key is one of theirs, each for some of them. */
  conditions(): AsyncGenerator<string> {
    const { key } = this.#table;
    const columns = key.map((name) => columnNamed(this.#table, name));
    const casts = columns.map((column, at) => typed(`u.a${at}`, column)).join(", ");
    const places = key.map((_, at) => `a${at}`).join(", ");
    const keys = this.#keys;
    return this.#with(async function* (client) {
      await client.query("begin");
      const cursor = new RowCursor<readonly (string | null)[]>(client, keys, []);
      for (let rows = await cursor.read(BATCH); rows.length > 0; rows = await cursor.read(BATCH)) {
        const arrays = key.map((_, at) => `${literal(textArray(rows.map((row) => row[at] ?? null)))}::text[]`).join(", ");
        yield `(${key.map(ident).join(", ")}) in (select ${casts} from unnest(${arrays}) as u(${places}))`;
      }
      await client.query("rollback");
    });
  }

  async *#with<T>(read: (client: pg.PoolClient) => AsyncIterable<T>): AsyncGenerator<T> {
    const client = await this.#pool.connect();
    let done = false;
    try {
      yield* read(client);
      done = true;
    } catch (error) {
      throw postgresError(error);
    } finally {
      client.release(!done);
    }
  }
}
