import { setTimeout as sleep } from "node:timers/promises";
import type { Change } from "../../change/change.ts";
import type { ChannelName, NodeName, PacketNumber, Position, TableName } from "../../change/names.ts";
import { position as toPosition } from "../../change/names.ts";
import type { TableShape } from "../../change/shape.ts";
import { parseRow, type RowText } from "../../change/value.ts";
import type { AcknowledgeOptions, ChangeLog, ReadCounts, ReadRequest, Tick } from "../change-log.ts";
import { Lives } from "../lives.ts";
import type { LeftBehind, Retention } from "../retention.ts";
import type { CaptureCounts } from "./capture-counts.ts";
import { capturedTable, capturedTables, notCaptured } from "./captured-tables.ts";
import { type Clock, isoTime } from "./clock.ts";
import { changesSince } from "./concurrent-changes.ts";
import type { Connection, DatabaseFile } from "./connection.ts";
import { referencesOf } from "./foreign-keys.ts";
import { misfit } from "./misfit.ts";
import { News } from "./news.ts";
import { acknowledged } from "./peers.ts";
import { purgeSome } from "./purge.ts";
import { read } from "./read.ts";
import { putRefresh } from "./refresh.ts";
import { retain } from "./retention.ts";
import { keyImage, stored } from "./rows.ts";
import { tableShape } from "./shape.ts";
import { newestEntry, sealedTick, sealOf, seenNow, storeTick } from "./tick.ts";

const SHORTEST_PAUSE_MS = 5;

/** The change log of a SQLite database. */
export class SqliteLog implements ChangeLog {
  readonly #file: DatabaseFile;
  readonly #clock: Clock;
  readonly #captured: CaptureCounts;
  #news: News | undefined;
  #purging: Promise<void> | undefined;
  readonly #unpurged = new Set<ChannelName>();
  #closed = false;
  #read = 0;
  #ticking: Promise<Tick> | undefined;
  readonly #lives = new Lives();

  constructor(options: { readonly file: DatabaseFile; readonly clock: Clock; readonly captured: CaptureCounts }) {
    this.#file = options.file;
    this.#clock = options.clock;
    this.#captured = options.captured;
  }

  get reads(): ReadCounts {
    return { made: this.#read, spared: 0 };
  }

  get lives(): number {
    return this.#lives.count;
  }

  async tick(): Promise<Tick> {
    const newest = this.#file.read((connection) => {
      const tick = sealedTick(connection);
      return tick === null ? null : { tick, before: this.#sealOfLast(connection) };
    });
    if (newest !== null) return this.#passed(newest.tick, newest.before);
    // a tick that has not begun to look covers this caller too
    return this.#sharedTick();
  }

  #passed(tick: Tick, before: string | null): Tick {
    this.#lives.passed(tick, before);
    return tick;
  }

  #sealOfLast(connection: Connection): string | null {
    const { last } = this.#lives;
    return last === undefined ? null : sealOf(connection, last.position);
  }

  #sharedTick(): Promise<Tick> {
    this.#ticking ??= this.#file.write((connection) => {
      this.#ticking = undefined;
      const before = this.#sealOfLast(connection);
      const sealed = sealedTick(connection);
      if (sealed !== null) return this.#passed(sealed, before);
      const next = { position: toPosition(newestEntry(connection)), seen: seenNow(connection) };
      return this.#passed(storeTick(connection, next, this.#clock()), before);
    });
    const ticking = this.#ticking;
    return ticking.catch((error: unknown) => {
      if (this.#ticking === ticking) this.#ticking = undefined;
      throw error;
    });
  }

  async news(after: Position, signal: AbortSignal): Promise<Position> {
    this.#news ??= new News(this.#file);
    await this.#news.wait(after, signal);
    return after;
  }

  read(request: ReadRequest): AsyncIterable<readonly Change[]> {
    this.#read += 1;
    return read(this.#file, request);
  }

  async shapes(tables: readonly TableName[]): Promise<readonly TableShape[]> {
    return this.#file.read((connection) => {
      const captured = capturedTables(connection);
      // as registered, which is what the log's images are of: a table that has changed since is named by `verify` and stops nothing else
      return tables.map((name) => {
        const table = captured.get(name);
        if (table === undefined) throw notCaptured(name, this.#file.node);
        return tableShape(table.name, table.channel, table.columns, table.key, referencesOf(connection, table.local, captured.values()));
      });
    });
  }

  retain(limits: Retention): Promise<readonly LeftBehind[]> {
    return retain(this.#file, { ...limits, now: this.#clock(), purge: () => this.purge() });
  }

  async purge(): Promise<void> {
    this.#captured.count();
    const channels = this.#file.read((connection) => [...capturedTables(connection).values()].map((table) => table.channel));
    for (const channel of channels) this.#unpurged.add(channel);
    await this.#purgeRest({ ref: true });
  }

  async refresh(reader: NodeName, rows: readonly { readonly table: TableName; readonly key: RowText }[]): Promise<void> {
    if (rows.length === 0) return;
    await this.#file.write((connection) => {
      const peer = connection.prepare("select id from tombolo_peer where name = ?").pluck().get(reader) as bigint | undefined;
      if (peer === undefined) return;
      for (const { table: name, key } of rows) {
        const table = capturedTable(connection, name, this.#file.node);
        // the row cannot be read now; the table is marked to be compared
        if (misfit(connection, table) !== null) continue;
        const values = parseRow(key);
        const bound = table.key.map((column) => stored(values[column] ?? null));
        // the time of the change that made the row, by which the reader judges its own children's
        const [last] = changesSince(connection, {
          tableId: table.id,
          key: keyImage(connection, table, bound),
          position: null,
          exceptFrom: -1,
        });
        putRefresh(connection, {
          table,
          key: bound,
          peer: Number(peer),
          at: isoTime(last === undefined ? this.#clock() : last.changedAt / 1000),
        });
      }
    });
  }

  async acknowledge(
    peer: NodeName,
    channels: readonly ChannelName[],
    position: Position,
    packet: PacketNumber,
    { since, read }: AcknowledgeOptions = {},
  ): Promise<void> {
    // what is about to be purged
    this.#captured.count();
    const more: readonly ChannelName[] = await this.#file.write((connection) => {
      const now = this.#clock();
      const first = acknowledged(connection, { peer, channels, position, packet, since, read, now: isoTime(now) });
      const release = connection.prepare(
        "delete from tombolo_hold where id = (select id from tombolo_hold where channel = ? and position <= ? order by position desc limit 1)",
      );
      // should it be another reader's, the one that stays holds more
      for (const channel of first) release.run(channel, position);
      // a peer that reads nothing acknowledges under a channel that is none: then every channel may have something to purge
      const known = new Set([...capturedTables(connection).values()].map((table) => table.channel));
      const purged = channels.every((channel) => known.has(channel)) ? channels : [...known];
      return purged.filter((channel) => purgeSome(connection, channel, now));
    });
    for (const channel of more) this.#unpurged.add(channel);
    // not waited for; what fails is tried again with the next acknowledgement
    this.#purging ??= this.#purgeRest({ ref: false })
      .catch(() => undefined)
      .finally(() => {
        this.#purging = undefined;
      });
  }

  /** In small transactions, with the file left alone for as long between them: whoever waits for SQLite's write lock looks only now and then. `ref`: the process does not end meanwhile. */
  async #purgeRest(waiting: { readonly ref: boolean }): Promise<void> {
    while (this.#unpurged.size > 0 && !this.#closed) {
      const started = performance.now();
      await this.#file.write((connection) => {
        for (const channel of this.#unpurged) if (!purgeSome(connection, channel, this.#clock())) this.#unpurged.delete(channel);
      });
      await sleep(Math.max(SHORTEST_PAUSE_MS, performance.now() - started), undefined, waiting);
    }
  }

  close(): void {
    this.#closed = true;
    this.#news?.close();
  }
}
