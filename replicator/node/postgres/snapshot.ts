import type pg from "pg";
import type { Change } from "../../change/change.ts";
import { TomboloError } from "../../change/error.ts";
import { type NodeName, type Position, position, type TableName } from "../../change/names.ts";
import type { Tick } from "../change-log.ts";
import { imagesOf, passes, truncateOf } from "../fill-passes.ts";
import { Grouping } from "../grouping.ts";
import { Places } from "../places.ts";
import type { FillScope, TableReader, TableSnapshot } from "../table-reader.ts";
import { textArray } from "./array-literal.ts";
import { type CapturedTable, type CapturedTables, inReferenceOrder } from "./captured-tables.ts";
import { rowsError, selectRows } from "./fill-rows.ts";
import { postgresError } from "./postgres-error.ts";
import { RowCursor } from "./row-cursor.ts";
import type { LogGate } from "./slot/log-gate.ts";
import { SEEN, type StoredTick, sealedAs, TICK_LOCK, tickOf } from "./tick-row.ts";

const FETCH = 500;
/**
 * Readings at once. Each holds a connection of the node's pool, and takes a second to begin: fifty children that are filled at once would hold them
 * all and wait for one another.
 */
const MOST_AT_ONCE = 8;

/** Whole tables at a tick, for filling a peer, and the seeding of this node's own rows. */
export class PostgresTableReader implements TableReader {
  readonly #pool: pg.Pool;
  readonly #tables: CapturedTables;
  readonly #hstore: string;
  readonly #gate: LogGate;
  readonly #places = new Places(MOST_AT_ONCE);

  constructor(options: {
    readonly pool: pg.Pool;
    readonly tables: CapturedTables;
    readonly hstore: string;
    readonly gate: LogGate;
  }) {
    this.#pool = options.pool;
    this.#tables = options.tables;
    this.#hstore = options.hstore;
    this.#gate = options.gate;
  }

  async open(names: readonly TableName[], scopes: ReadonlyMap<TableName, FillScope> = new Map()): Promise<TableSnapshot> {
    const tables = await this.#tables.named(names);
    const leave = await this.#places.take();
    let client: pg.PoolClient | undefined;
    try {
      client = await this.#pool.connect();
      const tick = await tickAtSnapshotOf(this.#pool, client);
      // what the rows show, the log up to the tick shows as well
      await this.#gate.complete();
      return new PostgresSnapshot({ client, tables, tick, hstore: this.#hstore, scopes, leave });
    } catch (error) {
      client?.release(error as Error);
      leave();
      throw error instanceof TomboloError ? error : postgresError(error);
    }
  }

  /**
   * The rows and the tick come from one snapshot, so that what the log holds after the tick begins exactly where the rows end.
   * They sort before everything else in the log (number 0): a change made while they were read must come after them.
   */
  async seed(peer: NodeName, names: readonly TableName[]): Promise<Position> {
    const tables = await this.#tables.named(names);
    const leave = await this.#places.take();
    let client: pg.PoolClient | undefined;
    let failed: Error | undefined;
    try {
      client = await this.#pool.connect();
      return await this.#seedAll(client, peer, tables);
    } catch (error) {
      failed = error as Error;
      throw error instanceof TomboloError ? error : postgresError(error);
    } finally {
      await client?.query("rollback").catch(() => undefined);
      client?.release(failed);
      leave();
    }
  }

  async #seedAll(client: pg.PoolClient, peer: NodeName, tables: readonly CapturedTable[]): Promise<Position> {
    const stored = await storedSeed(
      client,
      peer,
      tables.map(({ name }) => name),
    );
    if (stored !== null) return stored;
    const { position: at } = await withTickLock(this.#pool, async () => {
      await client.query("begin isolation level repeatable read");
      const { rows } = await client.query<StoredTick>(
        `insert into tombolo.tick (snapshot, seen, seq_high) select pg_current_snapshot(), ${SEEN}, (select last_value from tombolo.change_seq)
         returning position, ${sealedAs()} as sealed, seen::text`,
      );
      return tickOf(rows[0] as StoredTick);
    });
    for (const table of inReferenceOrder(tables)) await this.#seedTable(client, peer, table, at);
    await this.#gate.complete();
    await client.query("commit");
    return at;
  }

  async #seedTable(client: pg.ClientBase, peer: NodeName, table: CapturedTable, at: Position): Promise<void> {
    const row = `${this.#hstore}.slice(${this.#hstore}.hstore(t.*), $3::text[])`;
    await client.query(
      `insert into tombolo.change (seq, table_id, op, segment, target, key, new)
       select 0, $1::int, 'I', s.segment, p.id, ${this.#hstore}.slice(${this.#hstore}.hstore(t.*), $4::text[]), ${row}
         from tombolo.log_state s, tombolo.peer p, ${table.sql} as t where p.name = $2`,
      [table.id, peer, textArray(table.columns.map((column) => column.name)), textArray(table.key)],
    );
    await client.query(
      `insert into tombolo.peer_table (peer_id, table_name, seeded_at) select id, $2, $3::bigint from tombolo.peer where name = $1
       on conflict (peer_id, table_name) do update set seeded_at = excluded.seeded_at`,
      [peer, table.name, at.toString()],
    );
  }
}

/** The position of an earlier seed that covers all of the tables; null when one of them has none. */
async function storedSeed(client: pg.ClientBase, peer: NodeName, names: readonly TableName[]): Promise<Position | null> {
  const { rows } = await client.query<{ seeded: string; at: string | null }>(
    `select count(t.seeded_at) as seeded, max(t.seeded_at) as at from tombolo.peer p join tombolo.peer_table t on t.peer_id = p.id
      where p.name = $1 and t.table_name = any ($2::text[])`,
    [peer, textArray(names)],
  );
  const [row] = rows;
  if (row === undefined || row.at === null || Number(row.seeded) < names.length) return null;
  return position(row.at);
}

/**
 * Begins a repeatable-read transaction on `client` and makes a tick of its very snapshot, through another connection, so that
 * the tick is durable and visible while the transaction goes on reading.
 */
export async function tickAtSnapshotOf(pool: pg.Pool, client: pg.ClientBase): Promise<Tick> {
  return withTickLock(pool, async (ticking) => {
    await client.query("begin isolation level repeatable read read only");
    const { rows } = await client.query<{ snapshot: string; seen: string; high: string }>(
      `select pg_current_snapshot()::text as snapshot, ${SEEN}::text as seen, (select last_value from tombolo.change_seq) as high`,
    );
    const [cut] = rows;
    const made = await ticking.query<StoredTick>(
      `insert into tombolo.tick (snapshot, seen, seq_high) values ($1::pg_snapshot, $2::jsonb, $3::bigint)
       returning position, ${sealedAs()} as sealed, seen::text`,
      [cut?.snapshot, cut?.seen, cut?.high],
    );
    return tickOf(made.rows[0] as StoredTick);
  });
}

/**
 * Holds the tick lock on a connection of its own: a repeatable-read transaction that waited for it itself would have taken its
 * snapshot before the wait.
 */
async function withTickLock<T>(pool: pg.Pool, work: (ticking: pg.ClientBase) => Promise<T>): Promise<T> {
  const ticking = await pool.connect();
  try {
    await ticking.query(`begin; ${TICK_LOCK}`);
    const result = await work(ticking);
    await ticking.query("commit");
    return result;
  } catch (error) {
    await ticking.query("rollback").catch(() => undefined);
    throw error;
  } finally {
    ticking.release();
  }
}

class PostgresSnapshot implements TableSnapshot {
  readonly tick: Tick;
  readonly #client: pg.PoolClient;
  readonly #leave: () => void;
  readonly #tables: readonly CapturedTable[];
  readonly #hstore: string;
  readonly #scopes: ReadonlyMap<TableName, FillScope>;
  /** A cursor is open. */
  #reading = false;

  constructor(options: {
    readonly client: pg.PoolClient;
    readonly tables: readonly CapturedTable[];
    readonly tick: Tick;
    readonly hstore: string;
    readonly scopes: ReadonlyMap<TableName, FillScope>;
    /** Called when it is closed. */
    readonly leave: () => void;
  }) {
    this.#leave = options.leave;
    this.#scopes = options.scopes;
    this.tick = options.tick;
    this.#client = options.client;
    this.#tables = options.tables;
    this.#hstore = options.hstore;
  }

  async *rows(maxRows: number, maxBytes: number): AsyncGenerator<readonly Change[]> {
    const changedAt = Date.now() * 1000;
    for (const { table, part } of passes(inReferenceOrder(this.#tables), this.#scopes)) {
      const index = this.#tables.indexOf(table);
      if (part.as === "truncate") {
        yield [truncateOf(index, changedAt)];
        continue;
      }
      const { text, values } = selectRows(this.#hstore, table, part);
      this.#reading = true;
      const cursor = new RowCursor<[string, string]>(this.#client, text, values);
      const grouping = new Grouping({ maxRows, maxBytes });
      let fetch = FETCH;
      for (;;) {
        const rows = await cursor.read(fetch).catch((error) => {
          throw rowsError(error, table, part);
        });
        if (rows.length === 0) break;
        let fetched = 0;
        for (const [key, row] of rows) {
          fetched += row.length;
          const group = grouping.add({ table: index, key, changedAt, ...imagesOf(part, row) }, row.length);
          if (group !== null) yield group;
        }
        fetch = Math.max(10, Math.min(2000, Math.floor((maxBytes * rows.length) / (2 * fetched))));
      }
      this.#reading = false;
      if (grouping.rest().length > 0) yield grouping.rest();
    }
  }

  async close(): Promise<void> {
    // what is asked of a connection waits behind a cursor that was left before its end
    let broken = this.#reading;
    if (!broken) {
      await this.#client.query("rollback").catch(() => {
        broken = true;
      });
    }
    this.#client.release(broken);
    this.#leave();
  }
}
