import type pg from "pg";
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
import { advanced, type StoredProgress, started } from "../progress.ts";
import type { ApplyContext, Target } from "../target.ts";
import { applyPart, prepareParts } from "./apply-part.ts";
import { type ApplySession, Outcome } from "./apply-session.ts";
import type { CapturedTables } from "./captured-tables.ts";
import { transaction } from "./connection.ts";
import { IncomingTable } from "./incoming.ts";
import { judgedMeanwhile } from "./judged-meanwhile.ts";
import { blockedKeys } from "./parked.ts";
import { markReceived, markStarted, meet, peerState } from "./peers.ts";
import { postgresError } from "./postgres-error.ts";
import { retryParkedChanges } from "./retry-parked.ts";
import { advanceSequences } from "./sequences.ts";

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
}

/** The receiving side of a Postgres node. */
export class PostgresTarget implements Target {
  readonly #pool: pg.Pool;
  readonly #tables: CapturedTables;
  readonly #hstore: string;
  readonly #name: NodeName;
  readonly #replicaRole: boolean;

  /** `replicaRole`: whether this role may set session_replication_role. */
  constructor(options: {
    readonly name: NodeName;
    readonly pool: pg.Pool;
    readonly tables: CapturedTables;
    readonly hstore: string;
    readonly replicaRole: boolean;
  }) {
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
    await transaction(this.#pool, async (client) => {
      const locked = await lockPeer(client, peer);
      await client.query("update tombolo.peer set received = $2 where id = $1", [
        locked.id,
        JSON.stringify(started(locked.received, channel, tables, at)),
      ]);
      await markReceived(client, locked.id, tables);
      await markStarted(client, locked.id, tables);
    });
  }

  async apply(packet: Packet, context: ApplyContext): Promise<Receipt> {
    const { header } = packet;
    const tables = await this.#guarded(() => this.#incomingTables(header, context));
    return transaction(this.#pool, async (client) => {
      const peer = await this.#beginApply(client, header.source, context);
      const repeated = await guard(peer, packet, packet.parts);
      if (repeated !== null) return repeated;
      const session = await this.#session(client, peer, header, context, tables);
      for await (const part of readAhead(prepareParts(tables, packet.parts))) await applyPart(session, part);
      // a row may have come before what it refers to, in an earlier part
      if (session.outcome.parked > 0 && !peer.hasParked) session.outcome.parked -= await retryParkedChanges(session, this.#tables);
      return finish(session, peer, packet);
    });
  }

  async retryParked(name: NodeName, context: ApplyContext, now: readonly TableShape[] = []): Promise<number> {
    return transaction(this.#pool, async (client) => {
      const peer = await this.#beginApply(client, name, context);
      if (!peer.hasParked) return 0;
      // a retry is no packet of its own: it stands where the last packet stood
      const header = lastHeader(name, this.#name, peer);
      const session = await this.#session(client, peer, header, context, []);
      const through = await retryParkedChanges(session, this.#tables, now);
      await wantToo(session);
      return through;
    });
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
   * Locks the peer's row and marks this transaction as the applier's. Under a parent the application's own triggers and the
   * foreign keys' cascades stay quiet where the role may say so: the parent has run them and sends what they did.
   */
  async #beginApply(client: pg.ClientBase, name: NodeName, context: ApplyContext): Promise<LockedPeer> {
    const quiet = context.from === "parent" && this.#replicaRole;
    await client.query(
      `select set_config('tombolo.apply', 'on', true)${quiet ? ", set_config('session_replication_role', 'replica', true)" : ""}`,
    );
    return lockPeer(client, name);
  }

  async #session(
    client: pg.ClientBase,
    locked: LockedPeer,
    header: PacketHeader,
    context: ApplyContext,
    tables: readonly IncomingTable[],
  ): Promise<ApplySession> {
    const peer = { id: locked.id, name: header.source, forwards: locked.forwards };
    const access = { client, peer, header, context, hstore: this.#hstore };
    return {
      ...access,
      outcome: new Outcome(),
      blocked: locked.hasParked ? await blockedKeys(client, locked.id) : new Set(),
      judgedMeanwhile: await judgedMeanwhile(access, tables, lastSeen(locked)),
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

async function lockPeer(client: pg.ClientBase, name: NodeName): Promise<LockedPeer> {
  const { rows } = await client.query<{ [column: string]: string | null }>(
    `update tombolo.peer set apply_xid = pg_current_xact_id() where name = $1
      returning id, epoch, received_packet_no, received_digest, received_receipt::text as receipt, received::text as received, forwards,
                exists (select from tombolo.parked_change c where c.peer_id = peer.id) as has_parked`,
    [name],
  );
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
  };
}

async function finish(session: ApplySession, peer: LockedPeer, packet: Packet): Promise<Receipt> {
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
      received = started(received, channel, own, header.upTo);
    }
    await markReceived(client, peer.id, tables);
  } else {
    received = advanced(received, header.channels, header.upTo);
  }
  await client.query(
    `update tombolo.peer set epoch = $2, received_packet_no = $3, received_digest = $4, received_receipt = $5, received = $6,
            last_sync_in = clock_timestamp(), apply_xid = null,
            state = case when state = 'paused' then state else 'live' end
      where id = $1`,
    [peer.id, header.epoch, header.number.toString(), digest, writeReceipt(receipt, header, session.lastSeen), JSON.stringify(received)],
  );
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
