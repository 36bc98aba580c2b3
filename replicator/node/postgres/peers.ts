import type pg from "pg";
import {
  type ChannelName,
  channelName,
  epoch,
  type NodeName,
  type Position,
  packetNumber,
  position,
  type TableName,
  tableName,
} from "../../change/names.ts";
import type { ChannelProgress, PeerRole, PeerState } from "../target.ts";

/** `{"sales": {"position": "123", "ahead": {"shop.new": "140"}}}`, as stored in tombolo.peer.received. */
export interface StoredProgress {
  [channel: string]: { position: string; ahead?: { [table: string]: string } };
}

/**
 * Makes sure that the peers are known. Taking their rows' locks waits for transactions that apply from them at this moment:
 * those that come later see the new peer and log for it what they apply.
 */
export async function meet(pool: pg.Pool, peers: readonly { readonly name: NodeName; readonly role: PeerRole }[]): Promise<void> {
  await pool.query(
    `insert into tombolo.peer (name, role)
      select name, role from json_to_recordset($1::json) as wanted (name text, role text)
      on conflict (name) do update set role = excluded.role where peer.role <> excluded.role`,
    [JSON.stringify(peers)],
  );
  await pool.query(
    `update tombolo.peer set forwards = others.any
       from (select count(*) > 1 as any from tombolo.peer) as others
      where forwards is distinct from others.any`,
  );
}

export async function peerState(pool: pg.Pool, name: NodeName): Promise<PeerState> {
  const { rows } = await pool.query<{ [column: string]: string | null }>(
    `select p.epoch, p.received_packet_no, p.received_digest, p.received::text as received, p.state, p.received_receipt ->> 'wanted' as wanted,
            exists (select from tombolo.parked_change c where c.peer_id = p.id) as has_parked,
            coalesce((select json_agg(t.table_name) from tombolo.peer_table t where t.peer_id = p.id and t.received), '[]')::text as tables,
            coalesce((select json_object_agg(t.table_name, t.started_at::text) from tombolo.peer_table t
                       where t.peer_id = p.id and t.started_at is not null), '{}')::text as started
       from tombolo.peer p where p.name = $1`,
    [name],
  );
  const [row] = rows;
  const progress = JSON.parse(row?.received ?? "{}") as StoredProgress;
  return {
    epoch: row?.epoch == null ? null : epoch(row.epoch),
    number: packetNumber(row?.received_packet_no ?? 0n),
    digest: row?.received_digest ?? "",
    channels: progressMap(progress),
    tables: new Set((JSON.parse(row?.tables ?? "[]") as string[]).map(tableName)),
    startedAt: new Map(
      Object.entries(JSON.parse(row?.started ?? "{}") as { [table: string]: string }).map(([table, at]) => [
        tableName(table),
        position(at),
      ]),
    ),
    paused: row?.state === "paused",
    hasParked: row?.has_parked === "t",
    wanted: JSON.parse(row?.wanted ?? "[]") as PeerState["wanted"],
  };
}

function progressMap(stored: StoredProgress): Map<ChannelName, ChannelProgress> {
  return new Map(
    Object.entries(stored).map(([channel, { position: at, ahead = {} }]) => [
      channelName(channel),
      { position: position(at), ahead: new Map(Object.entries(ahead).map(([table, place]) => [tableName(table), position(place)])) },
    ]),
  );
}

/** Progress after everything of `channels` up to `upTo` was applied. */
export function advanced(stored: StoredProgress, channels: readonly ChannelName[], upTo: Position): StoredProgress {
  const next: StoredProgress = { ...stored };
  for (const channel of channels) {
    const ahead = Object.fromEntries(Object.entries(next[channel]?.ahead ?? {}).filter(([, place]) => BigInt(place) > upTo));
    next[channel] = { position: upTo.toString(), ...(Object.keys(ahead).length > 0 && { ahead }) };
  }
  return next;
}

/** Progress after `tables` of a channel were taken over as they are at `at`: a new channel begins there; in an older one they are ahead. */
export function started(stored: StoredProgress, channel: ChannelName, tables: readonly TableName[], at: Position): StoredProgress {
  const known = stored[channel];
  if (known === undefined) return { ...stored, [channel]: { position: at.toString() } };
  const ahead = { ...known.ahead };
  for (const table of tables) if (at > BigInt(known.position)) ahead[table] = at.toString();
  return { ...stored, [channel]: { position: known.position, ...(Object.keys(ahead).length > 0 && { ahead }) } };
}

/** Records where this log stands when the tables begin to come. */
export async function markStarted(client: pg.ClientBase, peerId: number, tables: readonly TableName[]): Promise<void> {
  await client.query(
    `update tombolo.peer_table set started_at = coalesce((select max(position) from tombolo.tick), 0)
      where peer_id = $1 and started_at is null and table_name in (select json_array_elements_text($2::json))`,
    [peerId, JSON.stringify(tables)],
  );
}

/** Records that the tables are received from the peer from now on. */
export async function markReceived(client: pg.ClientBase, peerId: number, tables: readonly TableName[]): Promise<void> {
  await client.query(
    `insert into tombolo.peer_table (peer_id, table_name, received) select $1, name, true from json_array_elements_text($2::json) as name
      on conflict (peer_id, table_name) do update set received = true`,
    [peerId, JSON.stringify(tables)],
  );
}
