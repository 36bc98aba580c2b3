import type { Change } from "../../replicator/change/change.ts";
import { type Epoch, type NodeName, type Position, packetNumber, type TableName } from "../../replicator/change/names.ts";
import type { ConflictCount, Packet, PacketHeader, Receipt } from "../../replicator/change/packet.ts";
import { parseRow, type Row, sameValue } from "../../replicator/change/value.ts";
import type { Clash } from "../../replicator/change/verdict.ts";
import { guard } from "../../replicator/node/exactly-once.ts";
import { advanced, progressMap, started } from "../../replicator/node/progress.ts";
import { mustStartOnce } from "../../replicator/node/table-starts.ts";
import type { ApplyContext, PeerRole, PeerState, Target } from "../../replicator/node/target.ts";
import type { LogEntry, PeerRow, Transaction } from "./model-database.ts";
import { enterRefresh, locked, mustBeOpen, type Session } from "./model-log.ts";

interface Applying {
  readonly transaction: Transaction;
  readonly header: PacketHeader;
  readonly context: ApplyContext;
  /** As it was before the packet. */
  readonly peer: PeerRow;
  readonly counts: { insert: number; update: number; delete: number; truncate: number; refresh: number };
  readonly conflicts: ConflictCount[];
  readonly wanted: { readonly table: TableName; readonly key: string }[];
}

const COUNTED = { I: "insert", U: "update", D: "delete", T: "truncate", R: "refresh" } as const;

/** The rules of `Target.apply` to the letter, over the model's database. */
export class ModelTarget implements Target {
  readonly #session: Session;
  readonly #busy: Set<string>;

  /** @param busy which peers' packets are being applied, of all who use the database. */
  constructor(session: Session, busy: Set<string>) {
    this.#session = session;
    this.#busy = busy;
  }

  async meet(peers: readonly { readonly name: NodeName; readonly role: PeerRole }[]): Promise<void> {
    await this.#turn();
    await this.#write((transaction) => {
      for (const { name, role } of peers) if (!this.#session.database.peers.has(name)) transaction.peers.set(name, unknown(role));
    });
  }

  async peer(name: NodeName): Promise<PeerState> {
    await this.#turn();
    const row = this.#row(name);
    return {
      epoch: row.epoch as Epoch | null,
      number: packetNumber(row.number),
      digest: row.digest,
      channels: progressMap(row.received),
      seen: row.seen,
      tables: row.tables,
      startedAt: row.startedAt,
      scopes: new Map(),
      paused: false,
      hasParked: false,
      wanted: row.wanted,
    };
  }

  async start(peer: NodeName, channel: Parameters<Target["start"]>[1], tables: readonly TableName[], at: Position): Promise<void> {
    const state = await this.peer(peer);
    await this.#write((transaction) => {
      const row = this.#row(peer);
      mustStartOnce(peer, state, { channel, tables, at });
      const known = new Map(row.startedAt);
      for (const table of tables) if (!known.has(table)) known.set(table, this.#session.database.newest);
      transaction.peers.set(peer, {
        ...row,
        received: started(row.received, channel, tables, { upTo: at }),
        tables: new Set([...row.tables, ...tables]),
        startedAt: known,
      });
    });
  }

  async apply(packet: Packet, context: ApplyContext): Promise<Receipt> {
    const { database, process } = this.#session;
    const { header } = packet;
    const lane = `${database.name} ${header.source}`;
    while (this.#busy.has(lane)) await this.#turn();
    this.#busy.add(lane);
    const free = (): void => void this.#busy.delete(lane);
    process.onDeath(free);
    try {
      await this.#turn();
      const peer = this.#row(header.source);
      if (!database.bugs.has("no guard")) {
        const repeated = await guard(peer, packet, packet.parts);
        if (repeated !== null) return repeated;
      }
      const transaction = database.begin(process);
      const counts = { insert: 0, update: 0, delete: 0, truncate: 0, refresh: 0 };
      const applying: Applying = { transaction, header, context, peer, counts, conflicts: [], wanted: [] };
      try {
        for await (const part of packet.parts) {
          for (const change of part) {
            await locked(this.#session, transaction, [change.key]);
            if (context.from === "child") this.#judge(applying, change);
            else this.#obey(applying, change);
          }
          await this.#turn();
          mustBeOpen(database, transaction);
        }
        return await this.#finish(applying, packet);
      } catch (error) {
        database.rollback(transaction);
        throw error;
      }
    } finally {
      free();
    }
  }

  async #finish({ transaction, header, peer, counts, conflicts, wanted }: Applying, packet: Packet): Promise<Receipt> {
    const { database } = this.#session;
    mustBeOpen(database, transaction);
    const receipt: Receipt = {
      number: header.number,
      digest: packet.digest(),
      duplicate: false,
      applied: counts,
      conflicts,
      parked: 0,
      wanted,
    };
    const fills = header.kind === "fill";
    const names = header.tables.map(({ table }) => table);
    const startedAt = new Map(peer.startedAt);
    if (fills) for (const name of names) if (!startedAt.has(name)) startedAt.set(name, database.newest);
    const row = {
      // what was acknowledged meanwhile stays
      ...this.#row(header.source),
      epoch: header.epoch,
      number: header.number,
      digest: receipt.digest,
      receipt: JSON.stringify({ ...receipt, number: receipt.number.toString() }),
      received: fills
        ? header.channels.reduce((known, channel) => started(known, channel, names, header), peer.received)
        : advanced(peer.received, header.channels, header),
      seen: { ...peer.seen, ...header.seen },
      tables: fills ? new Set([...peer.tables, ...names]) : peer.tables,
      startedAt,
      wanted,
    };
    const apart = database.bugs.has("position apart");
    if (!apart) transaction.peers.set(header.source, row);
    database.commit(transaction, { durable: !database.bugs.has("acknowledge before durable") });
    if (apart) {
      await this.#turn();
      await this.#write((after) => after.peers.set(header.source, row));
    }
    await this.#turn();
    return receipt;
  }

  async retryParked(): Promise<number> {
    return 0;
  }

  #judge(applying: Applying, { op, key, old, new: now, changedAt }: Change): void {
    const { transaction, header, context, counts, conflicts } = applying;
    const { database } = this.#session;
    if (op === "R" || op === "T") return;
    const table = this.#session.shape.table;
    const rule = context.rules.get(table);
    if (rule === undefined) throw new Error("no rule");
    const child = header.source;
    const parent = database.row(transaction, key);
    const after = now === null ? null : parseRow(now);
    const before = old === null ? null : parseRow(old);
    counts[COUNTED[op]] += 1;
    const at = changedAt - (context.clockOffsetMs ?? 0) * 1000;
    const made = { origin: child, changedAt: at, whole: isWhole(rule) };
    if (fits(parent, op, before)) {
      database.write(transaction, key, op === "D" ? null : { ...parent, ...after }, made);
      return;
    }
    const entries = database.since(transaction, header.seen[rule.channel], key, child);
    let known: Row | null = parent;
    for (const entry of entries) known = entry.op === "U" ? { ...known, ...entry.old } : entry.old;
    const base = op === "I" ? null : { ...(op === "U" ? known : null), ...before };
    const image = op === "D" ? null : { ...base, ...after };
    const columns = this.#session.shape.columns.map(({ name }) => name);
    const clash: Clash = {
      ...rule,
      table,
      key: ["id"],
      op,
      base,
      child: image,
      wholeChild: image === null || columns.every((column) => column in image),
      parent,
      changed: op === "U" ? Object.keys(after ?? {}) : columns,
      parentChangedAt: entries[0]?.changedAt ?? null,
      childChangedAt: context.clockOffsetMs === null ? null : at,
      parentNode: database.name,
      childNode: child,
    };
    const verdict = context.judge(clash);
    database.write(transaction, key, verdict.result && { ...parent, ...verdict.result }, made);
    if (verdict.conflict) {
      transaction.history.push({ key, parent, child: image ?? base });
      conflicts.push({ table, kind: verdict.conflict.kind, resolution: verdict.conflict.resolution, count: 1 });
    }
    if (verdict.refresh) enterRefresh(database, transaction, child, key);
  }

  #obey(applying: Applying, { op, key, new: now, changedAt }: Change): void {
    const { transaction, header, context, peer, counts, wanted } = applying;
    const { database, shape } = this.#session;
    if (op === "T") return;
    const parent = header.source;
    const rule = context.rules.get(shape.table);
    if (rule === undefined) throw new Error("no rule");
    counts[COUNTED[op]] += 1;
    const current = database.row(transaction, key);
    const after = now === null ? null : parseRow(now);
    const pending = rule.oneWay === true ? [] : database.since(transaction, header.seen[rule.channel], key, parent);
    const sinceLast =
      rule.oneWay === true || header.kind === "fill" ? [] : database.since(transaction, peer.seen[rule.channel], key, parent);
    const judged = sinceLast.slice(pending.length);
    const touches = (entry: LogEntry): boolean =>
      op !== "U" || entry.op !== "U" || Object.keys(entry.new ?? {}).some((column) => column in (after ?? {}));
    const made = { origin: parent, changedAt, whole: isWhole(rule) };
    const seen = header.kind === "fill" ? header.seen : peer.seen;
    const isOffered = rule.oneWay !== true && after === null && database.hasOffered(parent, key, seen[rule.channel]);
    if (isOffered || judged.some(touches)) {
      wanted.push({ table: shape.table, key });
    } else if (after === null) {
      if (current !== null && pending.length === 0) database.write(transaction, key, null, made);
    } else if (pending[0]?.op === "D") {
      // the parent judges the deletion first
    } else if (current === null) {
      if (op === "U") wanted.push({ table: shape.table, key });
      else database.write(transaction, key, after, made);
    } else if (!pending.some((entry) => entry.op === "I")) {
      const mine = new Set(pending.flatMap((entry) => Object.keys(entry.new ?? {})));
      const open = Object.fromEntries(Object.entries(after).filter(([column]) => !mine.has(column)));
      const overwrites =
        op === "I" &&
        header.kind === "fill" &&
        pending.length === 0 &&
        Object.keys(open).some((column) => !sameValue(open[column], current[column]));
      if (overwrites) transaction.history.push({ key, parent: after, child: current });
      database.write(transaction, key, { ...current, ...open }, made);
    }
  }

  async #write(work: (transaction: Transaction) => void): Promise<void> {
    const { database, process } = this.#session;
    const transaction = database.begin(process);
    work(transaction);
    database.commit(transaction, { durable: true });
    await this.#turn();
  }

  #row(name: NodeName): PeerRow {
    const row = this.#session.database.peers.get(name);
    if (row === undefined) throw new Error(`${this.#session.database.name} has not met ${name}`);
    return row;
  }

  #turn(): Promise<void> {
    return this.#session.scheduler.turn(this.#session.process);
  }
}

const isWhole = ({ detect, groups }: Pick<Clash, "detect" | "groups">): boolean => detect === "row" || groups.length > 0;

/** Whether a child's change applies without a look at the log, as most do. */
function fits(row: Row | null, op: Change["op"], old: Row | null): boolean {
  if (op === "I") return row === null;
  return row !== null && old !== null && Object.entries(old).every(([column, value]) => sameValue(row[column], value));
}

const unknown = (role: PeerRole): PeerRow => ({
  role,
  epoch: null,
  number: 0n,
  digest: "",
  receipt: null,
  received: {},
  seen: {},
  tables: new Set(),
  startedAt: new Map(),
  wanted: [],
  acknowledged: {},
  sentPacket: 0n,
  seeded: null,
});
