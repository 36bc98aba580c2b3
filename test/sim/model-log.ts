import type { Change } from "../../replicator/change/change.ts";
import { TomboloError } from "../../replicator/change/error.ts";
import { channelName, type NodeName, type Position, type TableName } from "../../replicator/change/names.ts";
import type { TableShape } from "../../replicator/change/shape.ts";
import { rowText } from "../../replicator/change/value.ts";
import type { ChangeLog, ReadRequest, Tick } from "../../replicator/node/change-log.ts";
import type { TableReader, TableSnapshot } from "../../replicator/node/table-reader.ts";
import type { LogEntry, ModelDatabase, PeerRow, Transaction } from "./model-database.ts";
import type { Process, Scheduler } from "./scheduler.ts";

export const CHANNEL = channelName("all");

export interface Session {
  readonly database: ModelDatabase;
  readonly process: Process;
  readonly scheduler: Scheduler;
  readonly shape: TableShape;
}

/** Locks rows for a transaction, when they are free. */
export async function locked({ database, process, scheduler }: Session, transaction: Transaction, keys: readonly string[]): Promise<void> {
  for (;;) {
    mustBeOpen(database, transaction);
    if (database.tryLock(transaction, keys)) return;
    if (database.isDeadlocked(transaction)) {
      database.rollback(transaction);
      throw new TomboloError(`two transactions of ${database.name} wait for each other`, { code: "DEADLOCK", kind: "retry" });
    }
    await scheduler.turn(process);
  }
}

/** A server that died meanwhile has ended it. */
export function mustBeOpen(database: ModelDatabase, transaction: Transaction): void {
  if (!database.isOpen(transaction)) throw new TomboloError(`${database.name} went away`, { code: "CONNECTION_LOST", kind: "connect" });
}

export class ModelLog implements ChangeLog {
  readonly reads = { made: 0, spared: 0 };
  readonly lives = 0;
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  async tick(): Promise<Tick> {
    const { database } = this.#session;
    await this.#turn();
    const position = database.tick();
    const seen = [...database.peers].map(([name, { received }]) => [name, positions(received)] as const);
    await this.#turn();
    return { position, seen: Object.fromEntries(seen) };
  }

  async news(after: Position, signal: AbortSignal): Promise<Position> {
    const { database } = this.#session;
    await this.#turn();
    await new Promise<void>((tell) => {
      if (signal.aborted || database.newest > after || database.hasUnsealed) return tell();
      const done = (): void => {
        forget();
        signal.removeEventListener("abort", done);
        tell();
      };
      const forget = database.onNews(done);
      signal.addEventListener("abort", done);
    });
    return after;
  }

  async *read({ reader, after, upTo, maxRows }: ReadRequest): AsyncGenerator<readonly Change[]> {
    const { database } = this.#session;
    await this.#turn();
    const entries = database.between(after, upTo).filter((entry) => isFor(entry, reader));
    for (let at = 0; at < entries.length; at += maxRows) {
      yield entries.slice(at, at + maxRows).map(changeOf);
      await this.#turn();
    }
  }

  async shapes(): Promise<readonly TableShape[]> {
    return [this.#session.shape];
  }

  async acknowledge(peer: NodeName, channels: Parameters<ChangeLog["acknowledge"]>[1], position: Position, packet: bigint): Promise<void> {
    await this.#turn();
    const acknowledged = Object.fromEntries(channels.map((channel) => [channel, position]));
    this.#update(peer, (row) => ({
      ...row,
      acknowledged: { ...row.acknowledged, ...acknowledged },
      sentPacket: packet as PeerRow["sentPacket"],
    }));
    await this.#turn();
  }

  /** The model keeps its log. */
  async purge(): Promise<void> {}

  async retain(): Promise<readonly []> {
    return [];
  }

  async refresh(reader: NodeName, rows: readonly { readonly table: TableName; readonly key: string }[]): Promise<void> {
    const { database, process } = this.#session;
    await this.#turn();
    const transaction = database.begin(process);
    await locked(
      this.#session,
      transaction,
      rows.map(({ key }) => key),
    );
    for (const { key } of rows) enterRefresh(database, transaction, reader, key);
    await this.#turn();
    mustBeOpen(database, transaction);
    database.commit(transaction, { durable: true });
    await this.#turn();
  }

  #update(peer: NodeName, change: (row: PeerRow) => PeerRow): void {
    const { database, process } = this.#session;
    const row = database.peers.get(peer);
    if (row === undefined) return;
    const transaction = database.begin(process);
    transaction.peers.set(peer, change(row));
    database.commit(transaction, { durable: true });
  }

  #turn(): Promise<void> {
    return this.#session.scheduler.turn(this.#session.process);
  }
}

/** Puts the row as the transaction sees it into the log, for one reader. */
export function enterRefresh(database: ModelDatabase, transaction: Transaction, target: NodeName, key: string): void {
  const last = database.log.findLast((entry) => entry.key === key && entry.target === null);
  const changedAt = last?.changedAt ?? database.nowMicros();
  database.enter(transaction, { op: "R", key, old: null, new: database.row(transaction, key), origin: null, target, changedAt });
}

export const positions = (received: PeerRow["received"]): { [channel: string]: Position } =>
  Object.fromEntries(Object.entries(received).map(([channel, { position }]) => [channel, BigInt(position) as Position]));

/** Not a reader's own changes, nor what is meant for another. */
export const isFor = ({ origin, target }: LogEntry, reader: NodeName | null): boolean =>
  target === null ? origin !== reader || reader === null : target === reader;

const changeOf = ({ op, key, old, new: now, changedAt }: LogEntry): Change => ({
  table: 0,
  op,
  key,
  old: old && rowText(old),
  new: now && rowText(now),
  changedAt,
});

export class ModelTables implements TableReader {
  readonly #session: Session;
  readonly #log: ModelLog;

  constructor(session: Session, log: ModelLog) {
    this.#session = session;
    this.#log = log;
  }

  async open(): Promise<TableSnapshot> {
    const { database, scheduler, process } = this.#session;
    const tick = await this.#log.tick();
    async function* rows(maxRows: number): AsyncGenerator<readonly Change[]> {
      await scheduler.turn(process);
      const all = database
        .rowsAt(tick.position)
        .map(([key, row]): Change => ({ table: 0, op: "I", key, old: null, new: rowText(row), changedAt: database.nowMicros() }));
      for (let at = 0; at < all.length; at += maxRows) {
        yield all.slice(at, at + maxRows);
        await scheduler.turn(process);
      }
    }
    return { tick, rows, close: async () => undefined };
  }

  async seed(peer: NodeName): Promise<Position> {
    const { database, scheduler, process } = this.#session;
    await scheduler.turn(process);
    const transaction = database.begin(process);
    const known = database.peers.get(peer);
    if (known === undefined) throw new Error(`${database.name} has not met ${peer}`);
    if (known.seeded !== null) {
      database.rollback(transaction);
      return known.seeded;
    }
    await locked(
      this.#session,
      transaction,
      database.rowsNow().map(([key]) => key),
    );
    const at = database.tick();
    for (const [key, row] of database.rowsNow()) {
      database.enter(transaction, { op: "I", key, old: null, new: row, origin: null, target: peer, changedAt: database.nowMicros() });
    }
    await scheduler.turn(process);
    mustBeOpen(database, transaction);
    transaction.peers.set(peer, { ...(database.peers.get(peer) ?? known), seeded: at });
    database.commit(transaction, { durable: true });
    return at;
  }
}
