import { TomboloError } from "../../change/error.ts";
import { type ChannelName, type NodeName, type Position, packetNumber, type TableName } from "../../change/names.ts";
import type { Packet, PacketHeader, Part, Receipt } from "../../change/packet.ts";
import type { TableShape } from "../../change/shape.ts";
import { asOfToday } from "../../change/shape-today.ts";
import { guard } from "../exactly-once.ts";
import { started } from "../progress.ts";
import type { ApplyContext, Target } from "../target.ts";
import { applyPart, type PartTables } from "./apply-part.ts";
import { type ApplySession, beginApplying, endApplying, Outcome } from "./apply-session.ts";
import { type CapturedTable, capturedTables, requireInstalled } from "./captured-tables.ts";
import type { Clock } from "./clock.ts";
import type { Connection, DatabaseFile } from "./connection.ts";
import { hasDeferredKeys } from "./dangling.ts";
import { FastPath } from "./fast-path.ts";
import { finish, wantToo } from "./finish.ts";
import { parentsFirst } from "./foreign-keys.ts";
import { IncomingTable } from "./incoming.ts";
import { JudgedMeanwhile } from "./judged-meanwhile.ts";
import { misfitOf } from "./misfit.ts";
import { blockedKeys } from "./parked.ts";
import { haveMet, markReceived, markStarted, meet, peerState, readPeer, type StoredPeer, storeProgress } from "./peers.ts";
import { retryParkedChanges } from "./retry-parked.ts";
import { readTable } from "./shape.ts";
import { suspendTriggers } from "./suspend.ts";
import { newestEntry } from "./tick.ts";
import { Unjudged } from "./unjudged.ts";

/** Of a packet, this much is read before the write lock is taken: nearly every packet is applied without waiting inside its transaction. */
const READ_FIRST_BYTES = 4 << 20;

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
      storeProgress(connection, stored.id, started(stored.received, channel, tables, at));
      markReceived(connection, stored.id, tables);
      markStarted(connection, stored.id, tables, newestEntry(connection));
    });
  }

  async apply(packet: Packet, context: ApplyContext): Promise<Receipt> {
    const { header } = packet;
    const { first, rest } = await readAhead(packet.parts);
    return this.#file.writeAsync(async (connection) => {
      const peer = readPeer(connection, header.source);
      const repeated = await guard(peer, packet, rest);
      if (repeated !== null) return repeated;
      const tables = partTables(connection, header.tables, context, header.source);
      return this.#applying({ connection, peer, header, context, tables }, async (session) => {
        for (const part of first) applyPart(session, tables, part);
        // the write lock is held while a large packet is read on; see DatabaseFile.writeAsync
        for await (const part of rest) applyPart(session, tables, part);
        // a row may have come before what it refers to, in an earlier part
        if (session.outcome.parked > 0 && !peer.hasParked) {
          session.outcome.parked -= retryParkedChanges(session, ({ table: name, change }) => {
            const table = tables.tables.find((candidate) => candidate.name === name);
            return table && { table, change };
          });
        }
        return finish(session, peer, packet);
      });
    });
  }

  async retryParked(name: NodeName, context: ApplyContext, now: readonly TableShape[] = []): Promise<number> {
    return this.#file.writeAsync(async (connection) => {
      const peer = readPeer(connection, name);
      if (!peer.hasParked) return 0;
      // a retry is no packet: what was seen is what the last packet said
      const header: PacketHeader = {
        ...NO_PACKET,
        source: name,
        target: this.#file.node,
        number: packetNumber(peer.number),
        seen: peer.judged,
      };
      const captured = capturedTables(connection);
      const locals = [...captured.values()].map(({ local }) => local);
      return this.#applying({ connection, peer, header, context, tables: null, locals }, async (session) => {
        const through = retryParkedChanges(session, (parked) => {
          const rule = context.rules.get(parked.table);
          const local = captured.get(parked.table);
          if (rule === undefined || local === undefined) return undefined;
          const here = local.columns.map(({ name }) => name);
          const { change, shape } = asOfToday(parked, now, here);
          return { table: incomingTable(connection, local, shape, rule), change };
        });
        wantToo(session);
        return through;
      });
    });
  }

  async #applying<T>(
    options: {
      readonly connection: Connection;
      readonly peer: StoredPeer;
      readonly header: PacketHeader;
      readonly context: ApplyContext;
      readonly tables: PartTables | null;
      readonly locals?: readonly string[];
    },
    work: (session: ApplySession) => Promise<T>,
  ): Promise<T> {
    const { connection, peer, header, context } = options;
    const session: ApplySession = {
      connection,
      peer: { id: peer.id, name: header.source, forwards: peer.forwards },
      header,
      context,
      clock: this.#clock,
      outcome: new Outcome(),
      mark: { changedAt: null },
      blocked: peer.hasParked ? blockedKeys(connection, peer.id) : new Set(),
      unjudged: new Unjudged({ connection, seen: header.seen, peerId: peer.id }),
      judgedMeanwhile: new JudgedMeanwhile({
        connection,
        header,
        peerId: peer.id,
        // a fill says how the rows are at its cut, whatever led there
        tables: context.from === "parent" && header.kind === "changes" ? (options.tables?.tables ?? []) : [],
        before: peer.judged,
      }),
    };
    const resume = suspendTriggers(connection, options.locals ?? options.tables?.tables.map(({ table }) => table.local) ?? []);
    beginApplying(connection, session.peer);
    const result = await work(session);
    endApplying(connection);
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

async function* none(): AsyncGenerator<Part> {}

function partTables(connection: Connection, shapes: readonly TableShape[], context: ApplyContext, source: NodeName): PartTables {
  const captured = capturedTables(connection);
  const tables = shapes.map((shape) => {
    const rule = context.rules.get(shape.table);
    const table = captured.get(shape.table);
    if (rule === undefined || table === undefined) {
      const what = rule === undefined ? "which this link does not carry" : "which is not captured here";
      throw new TomboloError(`the packet from ${source} brings table ${shape.table}, ${what}`, {
        code: rule === undefined ? "TABLE_NOT_IN_LINK" : "TABLE_NOT_CAPTURED",
        kind: "operator",
        hint: "let both sides run with the same topology, and run `tombolo apply`",
      });
    }
    return incomingTable(connection, table, shape, rule);
  });
  const byLocal = tables.map((table) => ({ local: table.table.local, table }));
  return {
    tables,
    ordered: parentsFirst(connection, byLocal).map(({ table }) => table),
    deferred: new Set(tables.filter(({ table }) => hasDeferredKeys(connection, table.local))),
    fast: new FastPath(connection),
  };
}

function incomingTable(connection: Connection, table: CapturedTable, shape: TableShape, rule: IncomingTable["rule"]): IncomingTable {
  const local = readTable(connection, table.local);
  return new IncomingTable({ table, strict: local?.strict ?? false, shape, rule, misfit: misfitOf(local, table) });
}
