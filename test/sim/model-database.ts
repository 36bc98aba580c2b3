import type { NodeName, Position, TableName } from "../../replicator/change/names.ts";
import { START } from "../../replicator/change/names.ts";
import { type Row, sameValue } from "../../replicator/change/value.ts";
import type { StoredProgress } from "../../replicator/node/progress.ts";
import type { PeerRole } from "../../replicator/node/target.ts";
import type { Process } from "./scheduler.ts";

/**
 * A database as Postgres promises it to be: transactions that see what is committed and lock the rows that they write, commits that may be lost in a crash of the server
 * until the log is flushed, snapshots, a sequence that counts in the order of writing and not of committing. Capture's log is written beside the rows.
 */

export interface LogEntry {
  readonly seq: number;
  readonly xid: number;
  readonly op: "I" | "U" | "D" | "R";
  readonly key: string;
  readonly old: Row | null;
  readonly new: Row | null;
  readonly origin: NodeName | null;
  readonly target: NodeName | null;
  /** Microseconds since 1970, by the clock of where it was made. */
  readonly changedAt: number;
}

export interface Snapshot {
  /** The first that had not begun. */
  readonly xmax: number;
  /** Those that had begun and not ended. */
  readonly open: ReadonlySet<number>;
}

export interface PeerRow {
  readonly role: PeerRole;
  readonly epoch: string | null;
  readonly number: bigint;
  readonly digest: string;
  readonly receipt: string | null;
  readonly received: StoredProgress;
  /** `PacketHeader.seen` of the last packet. */
  readonly seen: { readonly [channel: string]: Position };
  readonly tables: ReadonlySet<TableName>;
  readonly startedAt: ReadonlyMap<TableName, Position>;
  readonly wanted: readonly { readonly table: TableName; readonly key: string }[];
  /** Of this node's log, how far the peer is known to have applied it. */
  readonly acknowledged: { readonly [channel: string]: Position };
  readonly sentPacket: bigint;
  readonly seeded: Position | null;
}

export interface HistoryRecord {
  readonly key: string;
  readonly parent: Row | null;
  readonly child: Row | null;
}

/** The mistakes that the simulation must find; see simulation.test.ts. */
export type Bug =
  /** A batch is what was numbered since, and not what has become visible since. */
  | "watermark"
  /** A tick leaves the node before it is durable. */
  | "seal after send"
  /** A packet is confirmed before its transaction is durable. */
  | "acknowledge before durable"
  /** A packet that came before is applied again. */
  | "no guard"
  /** Where a packet was applied up to is not written in the transaction of its rows. */
  | "position apart";

export interface Transaction {
  readonly xid: number;
  readonly rows: Map<string, Row | null>;
  readonly entries: LogEntry[];
  readonly history: HistoryRecord[];
  readonly peers: Map<NodeName, PeerRow>;
}

export class ModelDatabase {
  readonly name: NodeName;
  /** This clock minus the true one, milliseconds. */
  readonly clockMs: number;
  readonly bugs: ReadonlySet<Bug>;
  /** Whether one transaction at a time writes, as in SQLite. */
  readonly serial: boolean;
  log: LogEntry[] = [];
  history: HistoryRecord[] = [];
  peers = new Map<NodeName, PeerRow>();
  ticks = new Map<Position, Snapshot & { readonly seqHigh: number }>();
  newest: Position = START;
  #versions = new Map<string, { readonly xid: number; readonly row: Row | null }[]>();
  #open = new Map<number, Transaction>();
  #committed = new Set<number>();
  #nextXid = 1;
  #nextSeq = 1;
  #locks = new Map<string, number>();
  /** Transactions that wait for another to end. */
  readonly #waits = new Map<number, number>();
  #unflushed: (() => void)[] = [];
  readonly #waiters = new Set<() => void>();

  constructor(options: { readonly name: NodeName; readonly clockMs: number; readonly bugs: ReadonlySet<Bug>; readonly serial: boolean }) {
    this.name = options.name;
    this.clockMs = options.clockMs;
    this.bugs = options.bugs;
    this.serial = options.serial;
  }

  nowMicros(): number {
    return (Date.now() + this.clockMs) * 1000;
  }

  begin(process: Process | null): Transaction {
    const transaction: Transaction = { xid: this.#nextXid++, rows: new Map(), entries: [], history: [], peers: new Map() };
    this.#open.set(transaction.xid, transaction);
    process?.onDeath(() => this.rollback(transaction));
    return transaction;
  }

  /** False where another transaction holds one of them, or, in a database with one writer, writes at all. */
  tryLock({ xid }: Transaction, keys: readonly string[]): boolean {
    const names = this.serial ? ["the database"] : keys.map((key) => `row ${key}`);
    const holder = names.map((name) => this.#locks.get(name) ?? xid).find((other) => other !== xid);
    this.#waits.delete(xid);
    if (holder !== undefined) {
      this.#waits.set(xid, holder);
      return false;
    }
    for (const name of names) this.#locks.set(name, xid);
    return true;
  }

  /** Whether it waits for one that waits for it. */
  isDeadlocked({ xid }: Transaction): boolean {
    let at = this.#waits.get(xid);
    for (let step = 0; at !== undefined && at !== xid && step < 10; step++) at = this.#waits.get(at);
    return at === xid;
  }

  /** As a statement of the transaction sees it. */
  row(transaction: Transaction | null, key: string): Row | null {
    if (transaction?.rows.has(key)) return transaction.rows.get(key) ?? null;
    return this.#versions.get(key)?.at(-1)?.row ?? null;
  }

  /** Writes a row that is locked, and what capture logs of it: nothing of a write that changes nothing. */
  write(
    transaction: Transaction,
    key: string,
    after: Row | null,
    by: { readonly origin: NodeName | null; readonly changedAt: number; readonly whole: boolean },
  ): void {
    const before = this.row(transaction, key);
    if (sameRow(before, after)) return;
    transaction.rows.set(key, after);
    const { whole, ...made } = by;
    const entry = { ...made, key, target: null };
    if (before === null || after === null) {
      this.enter(transaction, { ...entry, op: before === null ? "I" : "D", old: before, new: after });
      return;
    }
    const columns = Object.keys(after).filter((column) => whole || !sameValue(before[column], after[column]));
    const pick = (row: Row): Row => Object.fromEntries(columns.map((column) => [column, row[column] ?? null]));
    this.enter(transaction, { ...entry, op: "U", old: pick(before), new: pick(after) });
  }

  enter(transaction: Transaction, entry: Omit<LogEntry, "seq" | "xid">): void {
    transaction.entries.push({ ...entry, seq: this.#nextSeq++, xid: transaction.xid });
  }

  /** `durable`: before anyone hears of it. `lost` is told where a crash undoes it. */
  commit(transaction: Transaction, { durable, lost }: { readonly durable: boolean; readonly lost?: () => void }): void {
    if (!this.#open.delete(transaction.xid)) return;
    const { log, history, peers } = this;
    const versions = new Map([...transaction.rows.keys()].map((key) => [key, this.#versions.get(key)] as const));
    for (const [key, row] of transaction.rows) this.#versions.set(key, [...(versions.get(key) ?? []), { xid: transaction.xid, row }]);
    this.log = [...log, ...transaction.entries];
    this.history = [...history, ...transaction.history];
    this.peers = new Map([...peers, ...transaction.peers]);
    this.#committed.add(transaction.xid);
    this.#unlock(transaction);
    this.#unflushed.push(() => {
      for (const [key, known] of versions) this.#versions.set(key, known ?? []);
      Object.assign(this, { log, history, peers });
      this.#committed.delete(transaction.xid);
      lost?.();
    });
    if (durable) this.flush();
    if (transaction.entries.length > 0) this.#stir();
  }

  rollback(transaction: Transaction): void {
    if (this.#open.delete(transaction.xid)) this.#unlock(transaction);
  }

  flush(): void {
    this.#unflushed = [];
  }

  /** The server dies and comes back: what was not flushed is gone, and so are the transactions that were open. */
  crash(): void {
    for (const undo of this.#unflushed.reverse()) undo();
    this.#unflushed = [];
    for (const transaction of [...this.#open.values()]) this.rollback(transaction);
    this.#stir();
  }

  isOpen(transaction: Transaction): boolean {
    return this.#open.has(transaction.xid);
  }

  /** Seals what is committed. */
  tick(): Position {
    if (!this.hasUnsealed) return this.newest;
    const before = this.newest;
    const position = (this.newest + 1n) as Position;
    const open = this.bugs.has("watermark") ? [] : this.#open.keys();
    this.ticks = new Map(this.ticks).set(position, { xmax: this.#nextXid, open: new Set(open), seqHigh: this.#nextSeq - 1 });
    this.newest = position;
    if (!this.bugs.has("seal after send")) this.flush();
    else {
      this.#unflushed.push(() => {
        this.newest = before;
        this.ticks = new Map([...this.ticks].filter(([at]) => at <= before));
      });
    }
    return position;
  }

  /** A transaction is open that has written. */
  get isWritten(): boolean {
    return [...this.#open.values()].some(({ entries }) => entries.length > 0);
  }

  get hasUnsealed(): boolean {
    const last = this.ticks.get(this.newest);
    return this.log.some((entry) => last === undefined || !this.#isIn(last, entry));
  }

  /** What is in one tick and not in another, in the order of writing. */
  between(after: Position, upTo: Position): LogEntry[] {
    const [from, to] = [this.ticks.get(after), this.ticks.get(upTo)];
    const found = this.log.filter((entry) => to !== undefined && this.#isIn(to, entry) && (from === undefined || !this.#isIn(from, entry)));
    return found.sort((a, b) => a.seq - b.seq);
  }

  /** What was committed, or written by this transaction, and is not in the tick; newest first. */
  since(transaction: Transaction, position: Position | undefined, key: string, exceptFrom: NodeName): LogEntry[] {
    const from = position === undefined ? undefined : this.ticks.get(position);
    return [...this.log, ...transaction.entries]
      .filter(
        (entry) =>
          entry.key === key && entry.origin !== exceptFrom && entry.target === null && (from === undefined || !this.#isIn(from, entry)),
      )
      .sort((a, b) => b.seq - a.seq);
  }

  /** Whether the row was offered to a peer, which it may not have had, after the tick. */
  hasOffered(peer: NodeName, key: string, after: Position | undefined): boolean {
    const from = after === undefined ? undefined : this.ticks.get(after);
    return this.log.some(
      (entry) => entry.key === key && entry.target === peer && entry.op !== "R" && (from === undefined || !this.#isIn(from, entry)),
    );
  }

  rowsAt(position: Position): [string, Row][] {
    const tick = this.ticks.get(position);
    return [...this.#versions].flatMap(([key, versions]): [string, Row][] => {
      const seen = versions.filter(({ xid }) => tick !== undefined && this.#sees(tick, xid)).at(-1)?.row ?? null;
      return seen === null ? [] : [[key, seen]];
    });
  }

  rowsNow(): [string, Row][] {
    return [...this.#versions.keys()].flatMap((key): [string, Row][] => {
      const row = this.row(null, key);
      return row === null ? [] : [[key, row]];
    });
  }

  onNews(tell: () => void): () => void {
    this.#waiters.add(tell);
    return () => this.#waiters.delete(tell);
  }

  #sees({ xmax, open }: Snapshot, xid: number): boolean {
    return xid < xmax && !open.has(xid) && this.#committed.has(xid);
  }

  #isIn(tick: Snapshot & { readonly seqHigh: number }, { xid, seq }: LogEntry): boolean {
    return this.bugs.has("watermark") ? seq <= tick.seqHigh : this.#sees(tick, xid);
  }

  #unlock({ xid }: Transaction): void {
    for (const [name, holder] of this.#locks) if (holder === xid) this.#locks.delete(name);
    this.#waits.delete(xid);
  }

  #stir(): void {
    for (const tell of [...this.#waiters]) tell();
  }
}

export function sameRow(a: Row | null, b: Row | null): boolean {
  if (a === null || b === null) return a === b;
  const columns = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...columns].every((column) => sameValue(a[column], b[column]));
}
