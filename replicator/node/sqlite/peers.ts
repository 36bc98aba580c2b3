import { TomboloError } from "../../change/error.ts";
import {
  type ChannelName,
  epoch,
  type NodeName,
  type Position,
  packetNumber,
  position,
  scopeNumber,
  type TableName,
  tableName,
} from "../../change/names.ts";
import type { PacketHeader } from "../../change/packet.ts";
import type { AcknowledgeOptions } from "../change-log.ts";
import { putBackSince } from "../lives.ts";
import { progressMap, type StoredProgress, storedSeen } from "../progress.ts";
import { begunAnew } from "../rejoin.ts";
import type { PeerRole, PeerState } from "../target.ts";
import type { Connection } from "./connection.ts";
import { isHandedOver, setForwards } from "./copy-runs.ts";
import { prepared } from "./rows.ts";
import { goesOnFrom } from "./tick.ts";

/** What applying needs to know of a peer. */
export interface StoredPeer {
  readonly id: number;
  readonly epoch: string | null;
  readonly number: bigint;
  readonly digest: string;
  readonly receipt: string | null;
  readonly received: StoredProgress;
  /** `PacketHeader.seen` of its last packet. */
  readonly judged: { readonly [channel: string]: Position };
  readonly forwards: boolean;
  readonly hasParked: boolean;
}

/** Makes sure that the peers are known. The write lock keeps it apart from transactions that apply. */
export function meet(connection: Connection, peers: readonly { readonly name: NodeName; readonly role: PeerRole }[]): void {
  const add = prepared(
    connection,
    "insert into tombolo_peer (name, role) values (?, ?) on conflict (name) do update set role = excluded.role where role <> excluded.role",
  );
  for (const { name, role } of peers) add.run(name, role);
  setForwards(connection);
}

/** Whether `meet` would change nothing, so that a repeated call need not write. */
export function haveMet(connection: Connection, peers: readonly { readonly name: NodeName; readonly role: PeerRole }[]): boolean {
  const known = prepared(connection, "select count(*) from tombolo_peer where name = ? and role = ?").pluck();
  return peers.every(({ name, role }) => known.get(name, role) === 1n);
}

export function peerState(connection: Connection, name: NodeName): PeerState {
  const row = prepared(
    connection,
    "select id, epoch, received_packet_no, received_digest, received, judged, state, received_receipt ->> 'wanted' from tombolo_peer where name = ?",
  )
    .raw()
    .get(name) as [bigint, string | null, bigint, string, string, string, string, string | null] | undefined;
  const [id = -1n, peerEpoch = null, number = 0n, digest = "", received = "{}", judged = "{}", state = "joining", wanted = null] =
    row ?? [];
  const tables = prepared(connection, "select table_name from tombolo_peer_table where peer_id = ? and received = 1")
    .pluck()
    .all(id) as string[];
  const startedTables = prepared(
    connection,
    "select table_name, started_at from tombolo_peer_table where peer_id = ? and started_at is not null",
  )
    .raw()
    .all(id) as [string, bigint][];
  const scopes = prepared(connection, "select table_name, scope from tombolo_peer_table where peer_id = ? and scope is not null")
    .raw()
    .all(id) as [string, bigint][];
  return {
    epoch: peerEpoch === null ? null : epoch(peerEpoch),
    number: packetNumber(number),
    digest,
    channels: progressMap(JSON.parse(received) as StoredProgress),
    seen: storedSeen(judged),
    tables: new Set(tables.map(tableName)),
    startedAt: new Map(startedTables.map(([table, at]) => [tableName(table), position(at)])),
    scopes: new Map(scopes.map(([table, scope]) => [tableName(table), scopeNumber(scope)])),
    paused: state === "paused" || state === "snapshot" || isHandedOver(connection, name),
    hasParked: prepared(connection, "select exists (select 1 from tombolo_parked_change where peer_id = ?)").pluck().get(id) === 1n,
    wanted: JSON.parse(wanted ?? "[]") as PeerState["wanted"],
  };
}

export function readPeer(connection: Connection, name: NodeName): StoredPeer {
  const row = prepared(
    connection,
    `select id, epoch, received_packet_no, received_digest, received_receipt, received, judged, forwards,
              exists (select 1 from tombolo_parked_change c where c.peer_id = tombolo_peer.id)
         from tombolo_peer where name = ?`,
  )
    .raw()
    .get(name) as [bigint, string | null, bigint, string, string | null, string, string, bigint, bigint] | undefined;
  if (row === undefined) {
    throw new TomboloError(`${name} is not known here as a neighbour`, {
      code: "PEER_UNKNOWN",
      kind: "retry",
      hint: "it is introduced when the link starts",
    });
  }
  const [id, peerEpoch, number, digest, receipt, received, judged, forwards, hasParked] = row;
  return {
    id: Number(id),
    epoch: peerEpoch,
    number,
    digest,
    receipt,
    received: JSON.parse(received) as StoredProgress,
    judged: storedSeen(judged),
    forwards: forwards === 1n,
    hasParked: hasParked === 1n,
  };
}

export function storeProgress(connection: Connection, peerId: number, received: StoredProgress): void {
  prepared(connection, "update tombolo_peer set received = ? where id = ?").run(JSON.stringify(received), peerId);
}

/** Records where this log stands when the tables begin to come. */
export function markStarted(connection: Connection, peerId: number, tables: readonly TableName[], at: bigint): void {
  const mark = prepared(
    connection,
    "update tombolo_peer_table set started_at = ? where peer_id = ? and table_name = ? and started_at is null",
  );
  for (const table of tables) mark.run(at, peerId, table);
}

/** Records that the tables are received from the peer from now on, and by which of its scopes. */
export function markReceived(
  connection: Connection,
  peerId: number,
  tables: readonly TableName[],
  scopes: NonNullable<PacketHeader["scopes"]> = [],
): void {
  const mark = prepared(
    connection,
    `insert into tombolo_peer_table (peer_id, table_name, received, scope) values (?, ?, 1, ?)
      on conflict (peer_id, table_name) do update set received = 1, scope = excluded.scope`,
  );
  for (const [at, table] of tables.entries()) mark.run(peerId, table, scopes[at] ?? null);
}

/** The peer has durably applied this log up to `at`. Answers the channels that it acknowledged for the first time. */
export function acknowledged(
  connection: Connection,
  ack: {
    readonly peer: NodeName;
    readonly channels: readonly ChannelName[];
    readonly position: Position;
    readonly packet: bigint;
    readonly since: bigint | undefined;
    readonly read: AcknowledgeOptions["read"];
    readonly now: string;
  },
): readonly ChannelName[] {
  const stored = prepared(connection, "select sent, sent_packet_no, state from tombolo_peer where name = ?").raw().get(ack.peer) as
    | [string, bigint, string]
    | undefined;
  if (stored === undefined) return [];
  const [before, packets, state] = stored;
  if (ack.read !== undefined && !goesOnFrom(connection, ack.read)) throw putBackSince(ack.read);
  if (ack.since !== undefined && (packets < ack.since || state === "snapshot")) throw begunAnew(ack.peer);
  const sent = JSON.parse(before) as { [channel: string]: string };
  const first = ack.channels.filter((channel) => sent[channel] === undefined);
  for (const channel of ack.channels) if (BigInt(sent[channel] ?? 0) <= ack.position) sent[channel] = ack.position.toString();
  prepared(
    connection,
    `update tombolo_peer set sent = ?, sent_packet_no = max(sent_packet_no, ?), last_sync_out = ?,
              state = case when state = 'joining' then 'live' else state end where name = ?`,
  ).run(JSON.stringify(sent), ack.packet, ack.now, ack.peer);
  return first;
}
