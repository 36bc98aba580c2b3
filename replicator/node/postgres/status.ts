import type pg from "pg";
import { TomboloError } from "../../change/error.ts";
import { type NodeName, nodeName, tableName } from "../../change/names.ts";
import type { NodeStatus, PeerStatus } from "../installation.ts";
import { identity } from "./identity.ts";

/** Counting stops here: status must stay cheap whatever the backlog. */
const COUNTED_ROWS = 100_000;

interface StoredStatus {
  readonly logRows: number;
  readonly logBytes: string;
  readonly openConflicts: number;
  readonly parkedChanges: number;
  readonly peers: readonly (Omit<PeerStatus, "sentPacket" | "receivedPacket"> & { sentPacket: string; receivedPacket: string })[];
  readonly tables: readonly { table: string; state: string; reason: string | null }[];
}

const SELECT = `
  select json_build_object(
    'logRows', (select case when capped.rows < ${COUNTED_ROWS} then capped.rows
                            -- as many rows as the counted part has to the page
                            else greatest(capped.rows, (capped.rows::float8 * sizes.pages / nullif(capped.pages, 0))::bigint) end
                  from (select count(*) as rows, count(distinct (tableoid, (ctid::text::point)[0])) as pages
                          from (select tableoid, ctid from tombolo.change limit ${COUNTED_ROWS}) as first) as capped,
                       (select sum(pg_relation_size(inhrelid)) / current_setting('block_size')::int as pages
                          from pg_inherits where inhparent = 'tombolo.change'::regclass) as sizes),
    'logBytes', (select coalesce(sum(pg_total_relation_size(inhrelid)), 0)::text from pg_inherits where inhparent = 'tombolo.change'::regclass),
    'openConflicts', (select count(*) from tombolo.conflict_history where status = 'open'),
    'parkedChanges', (select count(*) from tombolo.parked_change),
    'peers', (
      select coalesce(json_agg(json_build_object('name', p.name, 'role', p.role, 'state', p.state, 'reason', p.reason,
               'sentPacket', p.sent_packet_no::text, 'receivedPacket', p.received_packet_no::text,
               'lastSyncIn', to_char(p.last_sync_in, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), 'lastSyncOut', to_char(p.last_sync_out, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
               'pendingChanges', p.pending_changes, 'oldestPendingAt', null, 'clockOffsetMs', p.clock_offset_ms,
               'parkedChanges', (select count(*) from tombolo.parked_change c where c.peer_id = p.id)) order by p.name), '[]')
        from tombolo.peer p),
    'tables', (select coalesce(json_agg(json_build_object('table', table_name, 'state', state, 'reason', reason) order by table_name), '[]') from tombolo.captured_table)
  )::text as status`;

/** What the database says about itself; changes nothing. `logRows` is exact up to 100 000, an estimate above. */
export async function status(pool: pg.Pool): Promise<NodeStatus> {
  const who = await identity(pool);
  const { rows } = await pool.query<{ status: string }>(SELECT);
  const stored = JSON.parse(rows[0]?.status ?? "{}") as StoredStatus;
  return {
    ...stored,
    identity: who,
    logBytes: Number(stored.logBytes),
    peers: stored.peers.map((peer) => ({
      ...peer,
      name: nodeName(peer.name),
      sentPacket: BigInt(peer.sentPacket),
      receivedPacket: BigInt(peer.receivedPacket),
    })),
    tables: stored.tables.map((row) => ({ ...row, table: tableName(row.table) })),
  };
}

/** Stops or resumes what flows from and to a peer. Throws `PEER_UNKNOWN` (operator). A peer that must be synchronised anew stays so. */
export async function setPaused(pool: pg.Pool, peer: NodeName, paused: boolean): Promise<void> {
  const { rowCount } = await pool.query(
    `update tombolo.peer
        set state = case when state = 'must_resync' then state
                         when $2::boolean then 'paused'
                         when state <> 'paused' then state
                         when received_packet_no > 0 or sent_packet_no > 0 then 'live'
                         else 'joining' end
      where name = $1`,
    [peer, paused],
  );
  if (rowCount === 0) {
    throw new TomboloError(`the database knows no neighbour ${peer}`, {
      code: "PEER_UNKNOWN",
      kind: "operator",
      hint: "A neighbour is known once the two have been linked by `tombolo run` or `tombolo sync`.",
    });
  }
}
