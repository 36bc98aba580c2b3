import type pg from "pg";
import { epoch, type NodeName, type Position, packetNumber, position, scopeNumber, type TableName, tableName } from "../../change/names.ts";
import type { PacketHeader } from "../../change/packet.ts";
import { progressMap, type StoredProgress, storedSeen } from "../progress.ts";
import type { PeerRole, PeerState } from "../target.ts";
import { FORWARDS, HANDED_OVER } from "./copy-runs.ts";

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
  await pool.query(FORWARDS);
}

/** A column of `tombolo.peer_table t` of the peer `p`, as JSON by table. */
export const jsonByTable = (column: "scope" | "seeded_at" | "started_at"): string =>
  `coalesce((select json_object_agg(t.table_name, t.${column}::text) from tombolo.peer_table t
              where t.peer_id = p.id and t.${column} is not null), '{}')::text`;

export const tablePositions = (json: string): Map<TableName, Position> => readByTable(json, position);

const readByTable = <T>(json: string, read: (text: string) => T): Map<TableName, T> =>
  new Map(Object.entries(JSON.parse(json) as { [table: string]: string }).map(([table, text]) => [tableName(table), read(text)]));

export async function peerState(pool: pg.Pool | pg.ClientBase, name: NodeName): Promise<PeerState> {
  const { rows } = await pool.query<{ [column: string]: string | null }>({
    name: "tombolo_peer_state",
    text: `select p.epoch, p.received_packet_no, p.received_digest, p.received::text as received, p.state, ${HANDED_OVER} as handed_over, p.received_receipt ->> 'wanted' as wanted,
            p.received_receipt ->> 'seen' as seen,
            exists (select from tombolo.parked_change c where c.peer_id = p.id) as has_parked,
            coalesce((select json_agg(t.table_name) from tombolo.peer_table t where t.peer_id = p.id and t.received), '[]')::text as tables,
            ${jsonByTable("started_at")} as started, ${jsonByTable("scope")} as scopes
       from tombolo.peer p where p.name = $1`,
    values: [name],
  });
  const [row] = rows;
  const progress = JSON.parse(row?.received ?? "{}") as StoredProgress;
  return {
    epoch: row?.epoch == null ? null : epoch(row.epoch),
    number: packetNumber(row?.received_packet_no ?? 0n),
    digest: row?.received_digest ?? "",
    channels: progressMap(progress),
    seen: storedSeen(row?.seen ?? "{}"),
    tables: new Set((JSON.parse(row?.tables ?? "[]") as string[]).map(tableName)),
    startedAt: tablePositions(row?.started ?? "{}"),
    scopes: readByTable(row?.scopes ?? "{}", scopeNumber),
    paused: row?.state === "paused" || row?.state === "snapshot" || row?.handed_over === "t",
    hasParked: row?.has_parked === "t",
    wanted: JSON.parse(row?.wanted ?? "[]") as PeerState["wanted"],
  };
}

/** Records where this log stands when the tables begin to come. */
export async function markStarted(client: pg.ClientBase, peerId: number, tables: readonly TableName[]): Promise<void> {
  await client.query(
    `update tombolo.peer_table set started_at = coalesce((select max(position) from tombolo.tick), 0)
      where peer_id = $1 and started_at is null and table_name in (select json_array_elements_text($2::json))`,
    [peerId, JSON.stringify(tables)],
  );
}

/** Records that the tables are received from the peer from now on, and by which of its scopes. */
export async function markReceived(
  client: pg.ClientBase,
  peerId: number,
  tables: readonly TableName[],
  scopes: NonNullable<PacketHeader["scopes"]> = [],
): Promise<void> {
  const marks = tables.map((name, at) => ({ name, scope: scopes[at]?.toString() ?? null }));
  await client.query(
    `insert into tombolo.peer_table (peer_id, table_name, received, scope)
      select $1, name, true, scope from json_to_recordset($2::json) as marks (name text, scope bigint)
      on conflict (peer_id, table_name) do update set received = true, scope = excluded.scope`,
    [peerId, JSON.stringify(marks)],
  );
}
