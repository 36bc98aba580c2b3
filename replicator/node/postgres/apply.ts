import pg from "pg";
import { TomboloError } from "../../change/error.ts";
import {
  type ChannelName,
  epoch,
  type NodeName,
  type Position,
  packetNumber,
  position,
  START,
  type TableName,
} from "../../change/names.ts";
import type { Packet, PacketHeader, Receipt } from "../../change/packet.ts";
import { readAhead } from "../../change/read-ahead.ts";
import type { TableShape } from "../../change/shape.ts";
import { guard } from "../exactly-once.ts";
import { advanced, type StoredProgress, started, startedAnew } from "../progress.ts";
import type { ApplyContext, RetryOptions, Target } from "../target.ts";
import { ApplyGate } from "./apply-gate.ts";
import { applyPart, changesIn, prepareParts } from "./apply-part.ts";
import { type ApplySession, Outcome } from "./apply-session.ts";
import type { CapturedTables } from "./captured-tables.ts";
import { transaction } from "./connection.ts";
import { IncomingTable } from "./incoming.ts";
import { judgedMeanwhile } from "./judged-meanwhile.ts";
import { blockedKeys, waitingRows } from "./parked.ts";
import { markReceived, markStarted, meet, peerState } from "./peers.ts";
import { postgresError } from "./postgres-error.ts";
import { countDue, RETRY_LIMIT, retryParkedChanges, retryParkedOfPacket } from "./retry-parked.ts";
import { rowScope } from "./row-scope.ts";
import { advanceSequences } from "./sequences.ts";
import type { LogGate } from "./slot/log-gate.ts";

/** What the applying transaction knows of the peer once it holds its row. */
interface LockedPeer {
  readonly id: number;
  readonly epoch: string | null;
  readonly number: bigint;
  readonly digest: string;
  readonly receipt: string | null;
  readonly received: StoredProgress;
  readonly forwards: boolean;
  readonly hasParked: boolean;
  /** Scopes are kept for it. */
  readonly limited: boolean;
}

/** What is done in a packet's transaction before its parts are looked at. */
export interface Beforehand {
  readonly settings: readonly string[];
  work(session: ApplySession, received: StoredProgress): Promise<void>;
}

/** The receiving side of a Postgres node. */
export class PostgresTarget implements Target {
  readonly #pool: pg.Pool;
  readonly #tables: CapturedTables;
  readonly #hstore: string;
  readonly #name: NodeName;
  readonly #replicaRole: boolean;
  readonly #gate: LogGate;

  /** `replicaRole`: whether this role may set session_replication_role. */
  constructor(options: {
    readonly name: NodeName;
    readonly pool: pg.Pool;
    readonly tables: CapturedTables;
    readonly hstore: string;
    readonly replicaRole: boolean;
    readonly gate: LogGate;
  }) {
    this.#gate = options.gate;
    this.#name = options.name;
    this.#replicaRole = options.replicaRole;
    this.#pool = options.pool;
    this.#tables = options.tables;
    this.#hstore = options.hstore;
  }

  async meet(peers: Parameters<Target["meet"]>[0]): Promise<void> {
    await this.#guarded(() => meet(this.#pool, peers));
  }

  async peer(name: NodeName): ReturnType<Target["peer"]> {
    return this.#guarded(() => peerState(this.#pool, name));
  }

  async start(peer: NodeName, channel: ChannelName, tables: readonly TableName[], at: Position): Promise<void> {
    const begin = `begin; ${lockPeer(peer)}`;
    const work = async (client: pg.PoolClient, opened: readonly pg.QueryResult[]): Promise<void> => {
      const locked = lockedPeer(opened, peer);
      await client.query("update tombolo.peer set received = $2 where id = $1", [
        locked.id,
        JSON.stringify(started(locked.received, channel, tables, at)),
      ]);
      await markReceived(client, locked.id, tables);
      await markStarted(client, locked.id, tables);
    };
    await transaction(this.#pool, work, { begin });
  }

  async apply(packet: Packet, context: ApplyContext, beforehand?: Beforehand): Promise<Receipt> {
    const { header } = packet;
    const tables = await this.#guarded(() => this.#incomingTables(header, context));
    const work = async (client: pg.PoolClient, peer: LockedPeer, last: (sql: string) => void): Promise<Receipt> => {
      const repeated = await guard(peer, packet, packet.parts);
      if (repeated !== null) return repeated;
      const session = await this.#session(client, peer, header, context, tables);
      await beforehand?.work(session, peer.received);
      for await (const part of readAhead(prepareParts(tables, packet.parts))) {
        const started = performance.now();
        await applyPart(session, part);
        context.onPart?.(changesIn(part), performance.now() - started);
      }
      // a row may have come before what it refers to, in an earlier part
      if (session.outcome.parked > 0) session.outcome.parked -= await retryParkedOfPacket(session, await this.#tables.all());
      return finish(session, peer, packet, last);
    };
    return this.#applying(context, header.source, work, beforehand?.settings);
  }

  async retryParked(name: NodeName, context: ApplyContext, options: RetryOptions = {}): Promise<number> {
    let through = 0;
    // by and by: no transaction is long, and nothing is locked when nothing is due
    for (let left = await this.#guarded(() => countDue(this.#pool, name, options)); left > 0; left -= RETRY_LIMIT) {
      through += await this.#applying(context, name, async (client, peer) => {
        if (!peer.hasParked) return 0;
        // a retry is no packet of its own: it stands where the last packet stood
        const header = lastHeader(name, this.#name, peer);
        const session = await this.#session(client, peer, header, context, [], options.now);
        const went = await retryParkedChanges(session, await this.#tables.all(), options);
        await wantToo(session);
        return went;
      });
    }
    return through;
  }

  async #incomingTables(header: PacketHeader, context: ApplyContext): Promise<IncomingTable[]> {
    const tables = await this.#tables.named(header.tables.map((shape) => shape.table));
    return tables.map((table, index) => {
      const shape = header.tables[index];
      const rule = context.rules.get(table.name);
      if (shape === undefined || rule === undefined) {
        throw new TomboloError(`the packet from ${header.source} brings table ${table.name}, which this link does not carry`, {
          code: "TABLE_NOT_IN_LINK",
          kind: "operator",
          hint: "let both sides run with the same topology",
        });
      }
      return new IncomingTable(table, shape, rule);
    });
  }

  /**
   * One transaction that is the applier's, with the peer's row locked. A small batch is mostly round trips: what can be said at once is (`last`: with
   * the commit). Under a parent the application's own triggers and the
   * foreign keys' cascades stay quiet where the role may say so: the parent has run them and sends what they did.
   */
  #applying<T>(
    context: ApplyContext,
    name: NodeName,
    work: (client: pg.PoolClient, peer: LockedPeer, last: (sql: string) => void) => Promise<T>,
    more: readonly string[] = [],
  ): Promise<T> {
    const settings = ["tombolo.apply = 'on'", ...(this.#isQuiet(context) ? ["session_replication_role = 'replica'"] : []), ...more];
    const begin = ["begin", ...settings.map((setting) => `set local ${setting}`), lockPeer(name)].join("; ");
    const end = ["commit"];
    return transaction(this.#pool, (client, opened) => work(client, lockedPeer(opened, name), (sql) => end.unshift(sql)), {
      begin,
      commit: () => end.join("; "),
    });
  }

  #isQuiet(context: ApplyContext): boolean {
    return context.from === "parent" && this.#replicaRole;
  }

  async #session(
    client: pg.ClientBase,
    locked: LockedPeer,
    header: PacketHeader,
    context: ApplyContext,
    tables: readonly IncomingTable[],
    shapes: readonly TableShape[] = tables.map(({ shape }) => shape),
  ): Promise<ApplySession> {
    const peer = { id: locked.id, name: header.source, forwards: locked.forwards };
    const access = { client, peer, header, context, hstore: this.#hstore };
    return {
      ...access,
      outcome: new Outcome(),
      gate: new ApplyGate(this.#gate),
      quiet: this.#isQuiet(context),
      blocked: locked.hasParked ? await blockedKeys(client, locked.id) : new Set(),
      // only a parent has to keep rows back that others would be given
      waiting: await waitingRows(client, context.from === "child" ? shapes : [], locked.hasParked ? locked.id : null),
      late: new Map(),
      judgedMeanwhile: await judgedMeanwhile(access, tables, lastSeen(locked)),
      scope: await rowScope(access, locked.limited),
      lastSeen: lastSeen(locked),
    };
  }

  async #guarded<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw error instanceof TomboloError ? error : postgresError(error);
    }
  }
}

/** Marks this transaction as the applier's, too. */
const lockPeer = (name: NodeName): string => `
  update tombolo.peer set apply_xid = pg_current_xact_id() where name = ${pg.escapeLiteral(name)}
  returning id, epoch, received_packet_no, received_digest, received_receipt::text as receipt, received::text as received, forwards,
            exists (select from tombolo.parked_change c where c.peer_id = peer.id) as has_parked,
            exists (select from tombolo.scope s where s.peer_id = peer.id and s.filter <> '') as limited`;

function lockedPeer(answers: readonly pg.QueryResult[], name: NodeName): LockedPeer {
  const rows = (answers.at(-1)?.rows ?? []) as { [column: string]: string | null }[];
  const [row] = rows;
  if (row === undefined) {
    throw new TomboloError(`${name} is not known here as a neighbour`, {
      code: "PEER_UNKNOWN",
      kind: "retry",
      hint: "it is introduced when the link starts",
    });
  }
  return {
    id: Number(row.id),
    epoch: row.epoch ?? null,
    number: BigInt(row.received_packet_no as string),
    digest: row.received_digest as string,
    receipt: row.receipt ?? null,
    received: JSON.parse(row.received as string) as StoredProgress,
    forwards: row.forwards === "t",
    hasParked: row.has_parked === "t",
    limited: row.limited === "t",
  };
}

async function finish(session: ApplySession, peer: LockedPeer, packet: Packet, last: (sql: string) => void): Promise<Receipt> {
  const { header } = packet;
  const { outcome, client } = session;
  const digest = packet.digest();
  await advanceSequences(session, outcome.inserted);
  const receipt: Receipt = {
    number: header.number,
    digest,
    duplicate: false,
    applied: outcome.applied,
    conflicts: outcome.conflicts,
    parked: outcome.parked,
    wanted: outcome.wanted,
  };
  let received = peer.received;
  if (header.kind === "fill") {
    const tables = header.tables.map((shape) => shape.table);
    for (const channel of header.channels) {
      const own = header.tables.filter((shape) => shape.channel === channel).map((shape) => shape.table);
      const isWhole = session.context.wholeChannels?.includes(channel) === true;
      received = isWhole ? startedAnew(received, channel, header.upTo) : started(received, channel, own, header.upTo);
    }
    await markReceived(client, peer.id, tables, header.scopes);
  } else {
    received = advanced(received, header.channels, header.upTo);
  }
  const text = pg.escapeLiteral;
  last(`
    update tombolo.peer
       set epoch = ${text(header.epoch)}, received_packet_no = ${header.number}, received_digest = ${text(digest)},
           received_receipt = ${text(writeReceipt(receipt, header, session.lastSeen))}, received = ${text(JSON.stringify(received))},
           last_sync_in = clock_timestamp(), apply_xid = null,
           state = case when state in ('paused', 'must_resync', 'snapshot') then state else 'live' end
     where id = ${peer.id}`);
  return receipt;
}

/** Adds what a retry wants to what the last packet wanted. */
async function wantToo({ client, peer, outcome }: ApplySession): Promise<void> {
  if (outcome.wanted.length === 0) return;
  await client.query(
    "update tombolo.peer set received_receipt = jsonb_set(received_receipt, '{wanted}', (received_receipt -> 'wanted') || $2::jsonb) where id = $1",
    [peer.id, JSON.stringify(outcome.wanted)],
  );
}

interface StoredReceipt extends Omit<Receipt, "number"> {
  readonly number: string;
  /** `PacketHeader.seen` of the last packet about each channel. */
  readonly seen: { readonly [channel: string]: string };
}

function writeReceipt(receipt: Receipt, header: PacketHeader, before: PacketHeader["seen"]): string {
  // of channels that the packet was not about, what an earlier one said still counts
  const seen = Object.fromEntries(Object.entries({ ...before, ...header.seen }).map(([channel, at]) => [channel, at.toString()]));
  return JSON.stringify({ ...receipt, number: receipt.number.toString(), seen } satisfies StoredReceipt);
}

/** The header of the last packet, as far as a retry needs it. */
function lastHeader(source: NodeName, target: NodeName, peer: LockedPeer): PacketHeader {
  return {
    protocol: 1,
    source,
    target,
    epoch: epoch(peer.epoch ?? ""),
    number: packetNumber(peer.number),
    previous: peer.digest,
    kind: "changes",
    channels: [],
    after: START,
    upTo: START,
    tables: [],
    seen: lastSeen(peer),
  };
}

/** `PacketHeader.seen` of the last packet about each channel. */
function lastSeen(peer: LockedPeer): { [channel: string]: Position } {
  const { seen } = JSON.parse(peer.receipt ?? '{"seen":{}}') as StoredReceipt;
  return Object.fromEntries(Object.entries(seen).map(([channel, at]) => [channel, position(at)]));
}
