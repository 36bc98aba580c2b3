import { setImmediate as breathe } from "node:timers/promises";
import { TomboloError } from "../../change/error.ts";
import { failpoint } from "../../change/failpoints.ts";
import { type ChannelName, type NodeName, type Position, packetNumber, type TableName } from "../../change/names.ts";
import type { Packet, PacketHeader, Part, Receipt } from "../../change/packet.ts";
import { guard } from "../exactly-once.ts";
import { type StoredProgress, started } from "../progress.ts";
import { mustStartOnce } from "../table-starts.ts";
import type { ApplyContext, RetryOptions, Target } from "../target.ts";
import { applyPart, type PartTables } from "./apply-part.ts";
import { type ApplySession, beginApplying, endApplying, Outcome } from "./apply-session.ts";
import { type CapturedTable, capturedTables, requireInstalled } from "./captured-tables.ts";
import type { Tools } from "./care.ts";
import type { Clock } from "./clock.ts";
import type { Connection, DatabaseFile } from "./connection.ts";
import { hasDeferredKeys } from "./dangling.ts";
import { FastPath } from "./fast-path.ts";
import { finish, wantToo } from "./finish.ts";
import { parentsFirst } from "./foreign-keys.ts";
import type { IncomingTable } from "./incoming.ts";
import { incomingTable } from "./incoming-table.ts";
import { JudgedMeanwhile } from "./judged-meanwhile.ts";
import { blockedKeys, waitingRows } from "./parked.ts";
import { haveMet, markReceived, markStarted, meet, peerState, readPeer, type StoredPeer, storeProgress } from "./peers.ts";
import { countDue, RETRY_LIMIT, retryParkedChanges, retryParkedOfPacket } from "./retry-parked.ts";
import { RowScope } from "./row-scope.ts";
import { MANY_CHANGES, suspendCapture, suspendTriggers } from "./suspend.ts";
import { newestEntry } from "./tick.ts";
import { Unjudged } from "./unjudged.ts";

/** Of a packet, this much is read before the write lock is taken: nearly every packet is applied without waiting inside its transaction. */
const READ_FIRST_BYTES = 4 << 20;

/** What is done in a packet's transaction before its parts are looked at; the parts are then read inside of it. */
export type Beforehand = (session: ApplySession, received: StoredProgress) => void;

/** The receiving side of a SQLite node. */
export class SqliteTarget implements Target {
  readonly #file: DatabaseFile;
  readonly #clock: Clock;

  constructor(options: { readonly file: DatabaseFile; readonly clock: Clock }) {
    this.#file = options.file;
    this.#clock = options.clock;
  }

  async meet(peers: Parameters<Target["meet"]>[0]): Promise<void> {
    this.#file.read((connection) => requireInstalled(connection, this.#file.node));
    if (this.#file.read((connection) => haveMet(connection, peers))) return;
    await this.#file.write((connection) => meet(connection, peers));
  }

  async peer(name: NodeName): ReturnType<Target["peer"]> {
    return this.#file.read((connection) => {
      requireInstalled(connection, this.#file.node);
      return peerState(connection, name);
    });
  }

  async start(peer: NodeName, channel: ChannelName, tables: readonly TableName[], at: Position): Promise<void> {
    await this.#file.write((connection) => {
      const stored = readPeer(connection, peer);
      mustStartOnce(peer, peerState(connection, peer), { channel, tables, at });
      storeProgress(connection, stored.id, started(stored.received, channel, tables, { upTo: at }));
      markReceived(connection, stored.id, tables);
      markStarted(connection, stored.id, tables, newestEntry(connection));
    });
  }

  async apply(packet: Packet, context: ApplyContext, beforehand?: Beforehand): Promise<Receipt> {
    const { header } = packet;
    const { first, rest } = beforehand === undefined ? await readAhead(packet.parts) : { first: [], rest: packet.parts };
    return this.#file.writeAsync(async (connection) => {
      const peer = readPeer(connection, header.source);
      const repeated = await guard(peer, packet, rest);
      if (repeated !== null) return repeated;
      const captured = capturedTables(connection);
      const tables = partTables(connection, header, context, captured);
      const many = beforehand === undefined ? manyOf(first).map((index) => (tables.tables[index] as IncomingTable).table.local) : [];
      return this.#applying({ connection, peer, header, context, tables, captured, many }, async (session) => {
        beforehand?.(session, peer.received);
        // the write lock is held while a large packet is read on; see DatabaseFile.writeAsync
        for await (const part of inTurns(first, rest)) {
          const started = performance.now();
          applyPart(session, tables, part);
          context.onPart?.(part.length, performance.now() - started);
          failpoint("apply.part");
        }
        // a row may have come before what it refers to, in an earlier part
        if (session.outcome.parked > 0) session.outcome.parked -= retryParkedOfPacket(session, captured, tables);
        const receipt = finish(session, peer, packet);
        failpoint("apply.before_commit");
        return receipt;
      });
    });
  }

  async retryParked(name: NodeName, context: ApplyContext, options: RetryOptions = {}): Promise<number> {
    const due = (connection: Connection): number => countDue(connection, readPeer(connection, name).id, options, this.#clock());
    let through = 0;
    // by and by: no transaction is long, and none is begun when nothing is due
    for (let left = this.#file.read(due); left > 0; left -= RETRY_LIMIT) {
      through += await this.#file.writeAsync(async (connection) => {
        const peer = readPeer(connection, name);
        // a retry is no packet: what was seen is what the last packet said
        const header: PacketHeader = {
          ...NO_PACKET,
          source: name,
          target: this.#file.node,
          number: packetNumber(peer.number),
          seen: peer.judged,
          tables: options.now ?? [],
        };
        const captured = capturedTables(connection);
        return this.#applying({ connection, peer, header, context, tables: null, captured }, async (session) => {
          const went = retryParkedChanges(session, captured, toolsFor(connection, context, [...captured.values()]), options);
          wantToo(session);
          failpoint("parked.before_commit");
          return went;
        });
      });
    }
    return through;
  }

  async #applying<T>(
    options: {
      readonly connection: Connection;
      readonly peer: StoredPeer;
      readonly header: PacketHeader;
      readonly context: ApplyContext;
      readonly tables: PartTables | null;
      readonly captured: ReadonlyMap<TableName, CapturedTable>;
      /** Tables here of which many changes come. */
      readonly many?: readonly string[];
    },
    work: (session: ApplySession) => Promise<T>,
  ): Promise<T> {
    const { connection, peer, header, context, captured, many = [] } = options;
    const session: ApplySession = {
      connection,
      peer: { id: peer.id, name: header.source, forwards: peer.forwards },
      header,
      context,
      clock: this.#clock,
      outcome: new Outcome(),
      mark: { changedAt: null },
      captured: new Map([...captured.values()].map((table) => [table.local.toLowerCase(), table])),
      blocked: peer.hasParked ? blockedKeys(connection, peer.id) : new Set(),
      // only a parent has to keep rows back that others would be given
      waiting: waitingRows(connection, context.from === "child" ? header.tables : [], peer.hasParked ? peer.id : null),
      late: new Map(),
      unjudged: new Unjudged({ connection, seen: header.seen, peerId: peer.id }),
      scope: new RowScope({ connection, peerId: peer.id, from: context.from }),
      judgedMeanwhile: new JudgedMeanwhile({
        connection,
        header,
        peerId: peer.id,
        // a fill says how the rows are at its cut, whatever led there
        tables: context.from === "parent" && header.kind === "changes" ? (options.tables?.tables ?? []) : [],
        before: peer.judged,
      }),
    };
    const locals = options.tables?.tables.map(({ table }) => table.local) ?? [...captured.values()].map(({ local }) => local);
    const resume = suspendTriggers(connection, locals);
    const capture = many.map((local) => suspendCapture(session, local));
    beginApplying(connection, session.peer);
    const result = await work(session);
    endApplying(connection);
    for (const resumeCapture of capture) resumeCapture();
    resume();
    return result;
  }
}

const NO_PACKET = {
  protocol: 1,
  epoch: "",
  previous: "",
  kind: "changes",
  channels: [],
  after: 0n,
  upTo: 0n,
  tables: [],
  seen: {},
} as unknown as PacketHeader;

/** Reads a packet's first parts, all of them where it is not large. */
async function readAhead(parts: AsyncIterable<Part>): Promise<{ first: Part[]; rest: AsyncIterable<Part> }> {
  const iterator = parts[Symbol.asyncIterator]();
  const first: Part[] = [];
  let bytes = 0;
  let done = false;
  while (!done && bytes < READ_FIRST_BYTES) {
    const next = await iterator.next();
    done = next.done === true;
    if (next.done !== true) {
      first.push(next.value);
      for (const change of next.value) bytes += 100 + change.key.length + (change.old?.length ?? 0) + (change.new?.length ?? 0);
    }
  }
  return { first, rest: done ? none() : { [Symbol.asyncIterator]: () => iterator } };
}

/** The tables of which many changes are known to come, as the packet numbers them. */
function manyOf(first: readonly Part[]): number[] {
  const counts = new Map<number, number>();
  for (const part of first) for (const { table } of part) counts.set(table, (counts.get(table) ?? 0) + 1);
  return [...counts].filter(([, count]) => count >= MANY_CHANGES).map(([table]) => table);
}

async function* none(): AsyncGenerator<Part> {}

/** Between two parts, whatever else this process has to do gets its turn: while a part is applied, nothing does. */
async function* inTurns(first: readonly Part[], rest: AsyncIterable<Part>): AsyncGenerator<Part> {
  for (const [at, part] of first.entries()) {
    if (at > 0) await breathe();
    yield part;
  }
  for await (const part of rest) {
    await breathe();
    yield part;
  }
}

function partTables(
  connection: Connection,
  header: PacketHeader,
  context: ApplyContext,
  captured: ReadonlyMap<TableName, CapturedTable>,
): PartTables {
  const tables = header.tables.map((shape) => {
    const rule = context.rules.get(shape.table);
    const table = captured.get(shape.table);
    if (rule === undefined || table === undefined) {
      const what = rule === undefined ? "which this link does not carry" : "which is not captured here";
      throw new TomboloError(`the packet from ${header.source} brings table ${shape.table}, ${what}`, {
        code: rule === undefined ? "TABLE_NOT_IN_LINK" : "TABLE_NOT_CAPTURED",
        kind: "operator",
        hint: "let both sides run with the same topology, and run `tombolo apply`",
      });
    }
    return incomingTable(connection, { table, shape, rule });
  });
  const own = tables.map(({ table }) => table);
  return { tables, ...toolsFor(connection, context, own) };
}

function toolsFor(connection: Connection, context: ApplyContext, tables: readonly CapturedTable[]): Tools {
  return {
    order: parentsFirst(connection, tables).map(({ name }) => name),
    deferred: new Set(tables.filter(({ local }) => hasDeferredKeys(connection, local)).map(({ name }) => name)),
    fast: new FastPath(connection, context),
  };
}
