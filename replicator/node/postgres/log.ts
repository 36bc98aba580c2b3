import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import type { Change } from "../../change/change.ts";
import { TomboloError } from "../../change/error.ts";
import { type ChannelName, type NodeName, type PacketNumber, type Position, position, type TableName } from "../../change/names.ts";
import type { TableShape } from "../../change/shape.ts";
import type { AcknowledgeOptions, ChangeLog, NewsOf, ReadCounts, ReadRequest, Tick, TickOptions } from "../change-log.ts";
import { filterFailed } from "../filter-fault.ts";
import { putBackSince } from "../lives.ts";
import { begunAnew } from "../rejoin.ts";
import { LEFT_BEHIND, type LeftBehind, leftBehind, type Retention } from "../retention.ts";
import type { CapturedTables } from "./captured-tables.ts";
import { type LogState, NewsWatcher } from "./news.ts";
import { NextWindow } from "./next-window.ts";
import { isServerError, postgresError } from "./postgres-error.ts";
import { oldestNeeded, purge } from "./purge.ts";
import { groups, readWindow, type WindowRequest } from "./read.ts";
import { refreshRows } from "./refresh-rows.ts";
import { retain } from "./retention.ts";
import { SharedReads } from "./shared-reads.ts";
import type { SlotConsumer } from "./slot/consumer.ts";
import type { LogGate } from "./slot/log-gate.ts";
import { CLASS_DATA } from "./sqlstate.ts";
import { goesOnFrom } from "./tick-row.ts";
import type { Ticker } from "./ticker.ts";
import { TouchedRows } from "./touched.ts";

const PURGE_EVERY_MS = 10_000;
/** A neighbour keeps its number, unless it is forgotten and met anew; and it may be left behind. */
const PEER_MS = 1_000;

const LOOK = `
  select last.position,
         exists (select from tombolo.change c where c.xid >= pg_snapshot_xmax(last.snapshot))
      or exists (select from pg_snapshot_xip(last.snapshot) as open(xid), tombolo.change c where c.xid = open.xid) as unsealed
    from (select position, snapshot from tombolo.tick order by position desc limit 1) as last`;

/** No peer's id. */
const NOBODY = -1;

/** The change log of a Postgres node. */
export class PostgresLog implements ChangeLog {
  readonly #pool: pg.Pool;
  readonly #tables: CapturedTables;
  readonly #hstore: string;
  readonly #ticker: Ticker;
  readonly #news: NewsWatcher;
  readonly #captured: { count(): Promise<unknown> };
  readonly #consumer: SlotConsumer | null;
  readonly #gate: LogGate;
  readonly #reads: SharedReads;
  /** What is remembered is of this one of the log's lives. */
  #life = 0;
  readonly #next: NextWindow;
  readonly #peers = new Map<NodeName, { readonly id: number; readonly at: number }>();
  #purgedAt = Number.NEGATIVE_INFINITY;
  #purging: Promise<void> | undefined;
  #purgeFailed: unknown;

  constructor(options: {
    readonly pool: pg.Pool;
    readonly tables: CapturedTables;
    readonly hstore: string;
    readonly ticker: Ticker;
    readonly captured: { count(): Promise<unknown> };
    /** What fills the log; null where triggers do. */
    readonly consumer: SlotConsumer | null;
    /** For what a command may do beside the process that has the consumer. */
    readonly beside: LogGate;
  }) {
    this.#pool = options.pool;
    this.#tables = options.tables;
    this.#hstore = options.hstore;
    this.#ticker = options.ticker;
    this.#captured = options.captured;
    const touched = new TouchedRows({ ...options, recent: options.ticker.recent });
    this.#news = new NewsWatcher({
      pool: options.pool,
      look: () => this.#look(),
      seal: async () => (await options.ticker.tick({ lagging: true })).position,
      touched: (after, upTo) => touched.between(after, upTo),
    });
    this.#next = new NextWindow({ recent: options.ticker.recent, hstore: options.hstore });
    this.#reads = new SharedReads({ read: (window) => this.#window(window) });
    this.#consumer = options.consumer;
    this.#gate = options.beside;
    this.#consumer?.onLogged(() => {
      this.#ticker.logged();
      this.#news.poke();
    });
  }

  get reads(): ReadCounts {
    return this.#reads.counts;
  }

  get lives(): number {
    return this.#ticker.lives;
  }

  tick(options: TickOptions = {}): Promise<Tick> {
    return this.#guarded(() => this.#ticker.tick(options, this.#next.question(options.after)));
  }

  news(after: Position, signal: AbortSignal, of?: NewsOf): Promise<Position> {
    // what keeps the log from being filled, whoever waits meets it with the next tick
    this.#consumer?.start().catch(() => undefined);
    const answered = this.#consumer?.expected();
    return this.#news.wait(after, signal, of).finally(answered);
  }

  async *read(request: ReadRequest): AsyncGenerator<readonly Change[]> {
    const filtered = [...(request.filters?.keys() ?? [])];
    this.#mustBeOfThisLife();
    try {
      const tables = await this.#tables.named(request.tables);
      const unclear: { table: TableName; key: string }[] = [];
      yield* this.#reads.read({
        peerId: request.reader === null ? NOBODY : await this.#peerId(request.reader),
        tables: new Map(tables.map((table, index) => [String(table.id), index])),
        excluded: new Map(tables.flatMap(({ id, excluded }) => (excluded.length === 0 ? [] : [[String(id), excluded]]))),
        after: request.after,
        upTo: request.upTo,
        maxRows: request.maxRows,
        maxBytes: request.maxBytes,
        scoped: tables.flatMap((table) => {
          const filter = request.filters?.get(table.name);
          return filter === undefined ? [] : [{ table, filter }];
        }),
        unclear: ({ table, key }) => unclear.push({ table: request.tables[table] as TableName, key }),
      });
      // before the reader has it all, and so before its position can move past them
      if (unclear.length > 0 && request.reader !== null) await this.refresh(request.reader, unclear);
    } catch (error) {
      if (filtered.length > 0 && isServerError(error) && error.code.startsWith(CLASS_DATA)) throw filterFailed(filtered, error.code);
      throw error instanceof TomboloError ? error : postgresError(error);
    }
  }

  async *#window(window: WindowRequest): AsyncGenerator<readonly Change[]> {
    this.#next.note(window);
    const foreseen = this.#next.take(window);
    yield* foreseen === null ? readWindow(this.#pool, this.#hstore, window, this.#ticker.recent) : groups(foreseen, window);
  }

  async shapes(tables: readonly TableName[]): Promise<readonly TableShape[]> {
    return this.#guarded(async () => (await this.#tables.named(tables)).map((table) => table.shape));
  }

  async acknowledge(
    peer: NodeName,
    channels: readonly ChannelName[],
    at: Position,
    packet: PacketNumber,
    { purge: purges = true, since, read }: AcknowledgeOptions = {},
  ): Promise<void> {
    await this.#guarded(async () => {
      const sent = Object.fromEntries(channels.map((channel) => [channel, at.toString()]));
      // what a crash takes back here is only acknowledged again
      const { rowCount } = await this.#pool.query({
        name: "tombolo_acknowledge",
        text: `update tombolo.peer set sent = sent || $2::jsonb, sent_packet_no = greatest(sent_packet_no, $3::bigint), last_sync_out = clock_timestamp(),
                 state = case when state = 'joining' then 'live' else state end
               where name = $1 and ($4::bigint is null or (sent_packet_no >= $4::bigint and state <> 'snapshot')) and ${goesOnFrom("$5", "$6")}
                 and set_config('synchronous_commit', 'off', true) is not null`,
        values: [
          ...[peer, JSON.stringify(sent), packet.toString(), since?.toString() ?? null],
          ...[read?.position.toString() ?? null, read?.sealedAs ?? null],
        ],
      });
      if (rowCount !== 0) return;
      if (read !== undefined && !(await this.#goesOnFrom(read))) throw putBackSince(read);
      if (since !== undefined) throw begunAnew(peer);
    });
    if (purges) this.#purgeBeside();
  }

  async #goesOnFrom({ position: at, sealedAs }: Pick<Tick, "position" | "sealedAs">): Promise<boolean> {
    const { rows } = await this.#pool.query(`select ${goesOnFrom("$1", "$2")} as known`, [at.toString(), sealedAs ?? null]);
    return rows[0]?.known === "t";
  }

  /** Now and then, and beside the links, which would wait for it. What fails in it is thrown to the one who acknowledges next. */
  #purgeBeside(): void {
    const failed = this.#purgeFailed;
    this.#purgeFailed = undefined;
    if (failed !== undefined) throw failed;
    if (this.#purging !== undefined || performance.now() - this.#purgedAt < PURGE_EVERY_MS) return;
    this.#purgedAt = performance.now();
    const purging = this.#guarded(async () => {
      await this.#captured.count();
      await purge(this.#pool, await oldestNeeded(this.#pool));
    });
    this.#purging = purging.then(
      () => this.#purged(undefined),
      (error: unknown) => this.#purged(error),
    );
  }

  #purged(failed: unknown): void {
    this.#purging = undefined;
    this.#purgeFailed = failed;
  }

  async retain(limits: Retention): Promise<readonly LeftBehind[]> {
    return this.#guarded(async () => {
      await this.#captured.count();
      // whoever reads now, here or in another process, knows of the mark before anything goes
      return retain(this.#pool, limits, async () => {
        this.#peers.clear();
        await sleep(PEER_MS);
      });
    });
  }

  async purge(): Promise<void> {
    await this.#guarded(async () => {
      await this.#captured.count();
      // leaves the segment that is written, whatever its size, then empties it
      for (let time = 0; time < 2; time++) await purge(this.#pool, await oldestNeeded(this.#pool), 0);
    });
  }

  async refresh(reader: NodeName, rows: readonly { readonly table: TableName; readonly key: string }[]): Promise<void> {
    await this.#guarded(async () => {
      const access = { pool: this.#pool, tables: this.#tables, hstore: this.#hstore, gate: this.#gate };
      await refreshRows(access, await this.#peerId(reader), rows);
    });
  }

  async close(): Promise<void> {
    this.#reads.forget();
    await this.#purging;
    await this.#news.close();
    await this.#consumer?.close();
  }

  async #look(): Promise<LogState> {
    const askedAt = performance.now();
    const { rows } = await this.#pool.query<{ position: string; unsealed: string }>({ name: "tombolo_look", text: LOOK });
    const state = { position: position(rows[0]?.position ?? 0n), unsealed: rows[0]?.unsealed === "t" };
    if (!state.unsealed) this.#ticker.nothingBeyond(state.position, askedAt);
    return state;
  }

  #mustBeOfThisLife(): void {
    if (this.#life === this.lives) return;
    this.#life = this.lives;
    this.#reads.forget();
    this.#peers.clear();
  }

  async #peerId(name: NodeName): Promise<number> {
    const known = this.#peers.get(name);
    if (known !== undefined && performance.now() - known.at < PEER_MS) return known.id;
    const { rows } = await this.#pool.query<{ id: string; left: string }>({
      name: "tombolo_peer_id",
      text: "select id, reason is not distinct from $2 as left from tombolo.peer where name = $1",
      values: [name, LEFT_BEHIND],
    });
    if (rows[0] === undefined) throw new TomboloError(`${name} is not known here as a neighbour`, { code: "PEER_UNKNOWN", kind: "retry" });
    // a cut may still be there when what came after it is not
    if (rows[0].left === "t") throw leftBehind(name);
    this.#peers.set(name, { id: Number(rows[0].id), at: performance.now() });
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
