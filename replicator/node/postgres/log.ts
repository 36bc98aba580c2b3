import type pg from "pg";
import type { Change } from "../../change/change.ts";
import { TomboloError } from "../../change/error.ts";
import { type ChannelName, type NodeName, type PacketNumber, type Position, position, type TableName } from "../../change/names.ts";
import type { TableShape } from "../../change/shape.ts";
import type { ChangeLog, ReadRequest, Tick } from "../change-log.ts";
import type { CaptureCounts } from "./capture-counts.ts";
import type { CapturedTable, CapturedTables } from "./captured-tables.ts";
import { transaction } from "./connection.ts";
import type { TextRow } from "./incoming.ts";
import { type LogState, NewsWatcher } from "./news.ts";
import { postgresError } from "./postgres-error.ts";
import { purge } from "./purge.ts";
import { readWindow } from "./read.ts";
import { putRefresh } from "./refresh.ts";
import { isRowError } from "./row-error.ts";
import type { Ticker } from "./ticker.ts";

const PURGE_EVERY_MS = 10_000;

const LOOK = `
  select last.position,
         exists (select from tombolo.change c where c.xid >= pg_snapshot_xmax(last.snapshot))
      or exists (select from pg_snapshot_xip(last.snapshot) as open(xid), tombolo.change c where c.xid = open.xid) as unsealed
    from (select position, snapshot from tombolo.tick order by position desc limit 1) as last`;

/** The change log of a Postgres node. */
export class PostgresLog implements ChangeLog {
  readonly #pool: pg.Pool;
  readonly #tables: CapturedTables;
  readonly #hstore: string;
  readonly #ticker: Ticker;
  readonly #news: NewsWatcher;
  readonly #captured: CaptureCounts;
  #purgedAt = 0;

  constructor(options: {
    readonly pool: pg.Pool;
    readonly tables: CapturedTables;
    readonly hstore: string;
    readonly ticker: Ticker;
    readonly captured: CaptureCounts;
  }) {
    this.#pool = options.pool;
    this.#tables = options.tables;
    this.#hstore = options.hstore;
    this.#ticker = options.ticker;
    this.#captured = options.captured;
    this.#news = new NewsWatcher({ pool: options.pool, look: () => this.#look() });
  }

  tick(): Promise<Tick> {
    return this.#guarded(() => this.#ticker.tick());
  }

  news(after: Position, signal: AbortSignal): Promise<void> {
    return this.#news.wait(after, signal);
  }

  async *read(request: ReadRequest): AsyncGenerator<readonly Change[]> {
    try {
      const tables = await this.#tables.named(request.tables);
      yield* readWindow(this.#pool, this.#hstore, {
        peerId: await this.#peerId(request.reader),
        tables: new Map(tables.map((table, index) => [String(table.id), index])),
        after: request.after,
        upTo: request.upTo,
        maxRows: request.maxRows,
        maxBytes: request.maxBytes,
      });
    } catch (error) {
      throw error instanceof TomboloError ? error : postgresError(error);
    }
  }

  async shapes(tables: readonly TableName[]): Promise<readonly TableShape[]> {
    return this.#guarded(async () => (await this.#tables.named(tables)).map((table) => table.shape));
  }

  async acknowledge(peer: NodeName, channels: readonly ChannelName[], at: Position, packet: PacketNumber): Promise<void> {
    await this.#guarded(async () => {
      const sent = Object.fromEntries(channels.map((channel) => [channel, at.toString()]));
      // what a crash takes back here is only acknowledged again
      await this.#pool.query({
        name: "tombolo_acknowledge",
        text: `update tombolo.peer set sent = sent || $2::jsonb, sent_packet_no = greatest(sent_packet_no, $3::bigint), last_sync_out = clock_timestamp(),
                 state = case when state = 'joining' then 'live' else state end
               where name = $1 and set_config('synchronous_commit', 'off', true) is not null`,
        values: [peer, JSON.stringify(sent), packet.toString()],
      });
      if (Date.now() - this.#purgedAt > PURGE_EVERY_MS) {
        this.#purgedAt = Date.now();
        await this.#captured.count();
        await purge(this.#pool, await this.#oldestNeeded());
      }
    });
  }

  async refresh(reader: NodeName, rows: readonly { readonly table: TableName; readonly key: string }[]): Promise<void> {
    await this.#guarded(async () => {
      const peerId = await this.#peerId(reader);
      const tables = new Map((await this.#tables.named(rows.map((row) => row.table))).map((table) => [table.name, table]));
      await transaction(this.#pool, async (client) => {
        for (const row of rows) {
          const table = tables.get(row.table);
          if (table !== undefined) await this.#refreshRow(client, table, JSON.parse(row.key) as TextRow, peerId);
        }
      });
    });
  }

  /** A row that cannot be read now, in a table that was dropped or altered, is not told: that table is marked to be compared, and no other waits for it. */
  async #refreshRow(client: pg.ClientBase, table: CapturedTable, key: TextRow, peerId: number): Promise<void> {
    await client.query("savepoint refresh");
    try {
      await putRefresh({ client, hstore: this.#hstore }, table, key, peerId);
    } catch (error) {
      if (!isRowError(error)) throw error;
      await client.query("rollback to savepoint refresh");
    }
    await client.query("release savepoint refresh");
  }

  close(): Promise<void> {
    return this.#news.close();
  }

  /**
   * The lowest position that is needed: 0 while anyone is still joining, null when no one reads. By readers, and by this node
   * itself: what a parent has judged since its last packet (`seen` of the receipt; see `Target.apply`).
   */
  async #oldestNeeded(): Promise<bigint | null> {
    const { rows } = await this.#pool.query<{ oldest: string | null }>(
      `select case when bool_or(p.state = 'joining') then 0 else min(needed.position::bigint) end as oldest
         from tombolo.peer p
         left join lateral (
           select position from jsonb_each_text(p.sent) as s(channel, position)
           union all
           select position from jsonb_each_text(p.received_receipt -> 'seen') as s(channel, position) where p.role = 'parent'
         ) as needed on true`,
    );
    const oldest = rows[0]?.oldest;
    return oldest === null || oldest === undefined ? null : BigInt(oldest);
  }

  async #look(): Promise<LogState> {
    const { rows } = await this.#pool.query<{ position: string; unsealed: string }>({ name: "tombolo_look", text: LOOK });
    return { position: position(rows[0]?.position ?? 0n), unsealed: rows[0]?.unsealed === "t" };
  }

  async #peerId(name: NodeName): Promise<number> {
    const { rows } = await this.#pool.query<{ id: string }>({
      name: "tombolo_peer_id",
      text: "select id from tombolo.peer where name = $1",
      values: [name],
    });
    if (rows[0] === undefined) throw new TomboloError(`${name} is not known here as a neighbour`, { code: "PEER_UNKNOWN", kind: "retry" });
    return Number(rows[0].id);
  }

  async #guarded<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw error instanceof TomboloError ? error : postgresError(error);
    }
  }
}
