import type pg from "pg";
import { TomboloError } from "../../change/error.ts";
import { type NodeName, nodeName, tableName } from "../../change/names.ts";
import { RUNS_IN_STATUS } from "../full-sync-runs.ts";
import type { NodeStatus, PeerNote, PeerStatus, WaitingChanges } from "../installation.ts";
import { type AcknowledgedPlace, type ChangesBehind, COUNTED_AT_LEAST, COUNTED_CHANGES, pendingBy } from "../pending.ts";
import { newestRuns } from "./copy-runs.ts";
import { identity } from "./identity.ts";
import { requireCurrent } from "./migrate.ts";

/** Of the log, where the count is there to estimate by: every node is asked every few seconds, and its sessions wait meanwhile. */
const SAMPLED_ROWS = 1_000;

interface StoredStatus {
  readonly logRows: number;
  readonly logBytes: string;
  readonly openConflicts: number;
  readonly parkedChanges: number;
  readonly revision: string;
  /** All that is behind any place was counted. */
  readonly whole: boolean;
  readonly behind: readonly ChangesBehind[];
  readonly places: readonly AcknowledgedPlace[];
  readonly peers: readonly (Omit<PeerStatus, "sentPacket" | "receivedPacket" | "parked" | "pendingChanges" | "oldestPendingAt"> & {
    id: number;
    sent: { readonly [channel: string]: string };
    sentPacket: string;
    receivedPacket: string;
    parked: readonly (WaitingChanges & { readonly oldest: { readonly id: string } })[];
  })[];
  readonly tables: readonly { table: string; state: string; reason: string | null }[];
}

/** By what refuses them, of a table like parked_change: how many there are, and the oldest. `id` is an expression for its number. */
const waiting = (table: string, id: string): string => `(
  select coalesce(json_agg(json_build_object('code', w.code, 'changes', w.changes, 'oldest', json_build_object('id', ${id}, 'table', o.table_name,
           'op', o.op, 'reason', o.reason, 'parkedAt', to_char(o.parked_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))) order by w.changes desc, w.code), '[]')
    from (select code, count(*) as changes, min(id) as id from ${table} where peer_id = p.id group by code) as w join ${table} o on o.id = w.id)`;

/**
 * `place` is one of few rows. What is behind any of them is read once, by the index, and its stretches are added up for each; only where that may be more than is
 * counted at all, a little is read of each place by itself, from its oldest on.
 */
export const SELECT_STATUS = `
  with place as materialized (
    select distinct on (sent.channel, t.position) sent.channel, t.position, t.snapshot, t.seq_high
      from tombolo.peer p, jsonb_each_text(p.sent) as sent (channel, position), tombolo.tick t where t.position = sent.position::bigint),
  together as materialized (
    select coalesce((select last_value from tombolo.change_seq) - min(seq_high) <= ${COUNTED_CHANGES}, false) as shared,
           min(pg_snapshot_xmax(snapshot)) as first, array_agg(pg_snapshot_xmax(snapshot)) as begins, array(select distinct x from place, pg_snapshot_xip(snapshot) as x) as open
      from place),
  bound as materialized (
    -- between two of them, all xids are behind the same places
    select array_agg(x order by x) as xids
      from (select unnest(begins) as x from together union select unnest(open) from together
            union select (x::text::bigint + 1)::text::xid8 from together, unnest(open) as x) as each),
  counted as materialized (
    select width_bucket(xid, (select xids from bound)) as stretch, channel, origin, target, count(*) as changes, min(changed_at) as oldest
      from (select c.xid, k.channel, c.origin, c.target, c.changed_at
              -- two ranges of the index, each by itself: an "or" may be planned as a walk through all of it
              from (select * from tombolo.change where (select shared from together) and xid >= (select first from together)
                    union all
                    select * from tombolo.change where (select shared from together) and xid < (select first from together)
                                                   and xid = any ((select open from together)::xid8[])
                    limit ${COUNTED_CHANGES + 1}) as c
              join tombolo.captured_table k on k.id = c.table_id) as c
     group by stretch, channel, origin, target),
  behind as (
    select place.channel, place.position, c.origin, c.target, sum(c.changes) as changes, round(extract(epoch from min(c.oldest)) * 1e6)::bigint as oldest
      from bound cross join place
      join counted c on c.channel = place.channel
       and (bound.xids[c.stretch] >= pg_snapshot_xmax(place.snapshot) or bound.xids[c.stretch] = any (array(select pg_snapshot_xip(place.snapshot))))
     group by place.channel, place.position, c.origin, c.target
    union all
    select place.channel, place.position, c.origin, c.target, count(*) as changes, round(extract(epoch from min(c.changed_at)) * 1e6)::bigint as oldest
      from place cross join lateral (
        select c.origin, c.target, c.changed_at
          from tombolo.change c join tombolo.captured_table k on k.id = c.table_id and k.channel = place.channel
         where not (select shared from together)
           and (c.xid >= pg_snapshot_xmax(place.snapshot) or c.xid = any (array(select pg_snapshot_xip(place.snapshot))))
         limit (select greatest(${COUNTED_AT_LEAST}, ${COUNTED_CHANGES} / greatest(1, count(*))) from place)) as c
     group by place.channel, place.position, c.origin, c.target),
  sizes as (select sum(pg_relation_size(inhrelid)) / current_setting('block_size')::int as pages from pg_inherits where inhparent = 'tombolo.change'::regclass)
  select json_build_object(
    'whole', (select shared from together) and (select coalesce(sum(changes), 0) from counted) <= ${COUNTED_CHANGES},
    'places', (select coalesce(json_agg(json_build_object('channel', channel, 'position', position::text,
                      'numbers', greatest(0, (select last_value from tombolo.change_seq) - seq_high))), '[]') from place),
    'behind', (select coalesce(json_agg(json_build_object('channel', channel, 'position', position::text, 'origin', origin, 'target', target,
                      'changes', changes, 'oldest', oldest)), '[]') from behind),
    'logRows', (select case when coalesce(sum(page.rows), 0) < ${SAMPLED_ROWS} then coalesce(sum(page.rows), 0)
                            -- as many rows as the counted pages have, to the page; the last was counted in part
                            else greatest(sum(page.rows), (sum(page.rows) filter (where not page.last) * (select pages from sizes)
                                                           / nullif(count(*) filter (where not page.last), 0))::bigint) end
                  from (select tableoid, page, count(*) as rows, row_number() over (order by tableoid desc, page desc) = 1 as last
                          from (select tableoid, (ctid::text::point)[0] as page from tombolo.change limit ${SAMPLED_ROWS}) as first
                         group by tableoid, page) as page),
    'logBytes', (select coalesce(sum(pg_total_relation_size(inhrelid)), 0)::text from pg_inherits where inhparent = 'tombolo.change'::regclass),
    'openConflicts', (select count(*) from tombolo.conflict_history where status = 'open'),
    'parkedChanges', (select count(*) from tombolo.parked_change),
    'revision', (select concat_ws('.', (select max(id) from tombolo.conflict_history), (select max(id) from tombolo.parked_change),
                                  (select max(id) from tombolo.reconcile_run), (select max(id) from tombolo.audit))),
    'slot', (select json_build_object('name', s.slot_name, 'state', s.state, 'active', r.active is true, 'walStatus', r.wal_status,
                     'retainedBytes', coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), r.restart_lsn)::bigint, 0), 'safeBytes', r.safe_wal_size,
                     'catalogueAge', age(r.catalog_xmin))
               from tombolo.slot s left join pg_replication_slots r on r.slot_name = s.slot_name),
    'peers', (
      select coalesce(json_agg(json_build_object('id', p.id, 'sent', p.sent, 'name', p.name, 'role', p.role, 'state', p.state, 'reason', p.reason,
               'sentPacket', p.sent_packet_no::text, 'receivedPacket', p.received_packet_no::text,
               'lastSyncIn', to_char(p.last_sync_in, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), 'lastSyncOut', to_char(p.last_sync_out, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
               'clockOffsetMs', p.clock_offset_ms,
               'parkedChanges', (select count(*) from tombolo.parked_change c where c.peer_id = p.id),
               'parked', ${waiting("tombolo.parked_change", "o.id::text")},
               'refusedChanges', p.refused_changes, 'refused', ${waiting("tombolo.refused_change", "null")},
               'openConflicts', (select count(*) from tombolo.conflict_history h where h.status = 'open' and h.child_node = p.name)) order by p.name), '[]')
        from tombolo.peer p),
    'tables', (select coalesce(json_agg(json_build_object('table', table_name, 'state', state, 'reason', reason) order by table_name), '[]') from tombolo.captured_table)
  )::text as status`;

/** What the database says about itself; changes nothing. `logRows` is exact below 1000, an estimate above. */
export async function status(pool: pg.Pool): Promise<NodeStatus> {
  const who = await identity(pool);
  await requireCurrent(pool);
  const { rows } = await pool.query<{ status: string }>(SELECT_STATUS);
  const { behind, places, whole, ...stored } = JSON.parse(rows[0]?.status ?? "{}") as StoredStatus;
  const pendingOf = pendingBy(behind, places, whole);
  return {
    ...stored,
    identity: who,
    fullSyncs: await newestRuns(pool, RUNS_IN_STATUS),
    logBytes: Number(stored.logBytes),
    peers: stored.peers.map(({ id, sent, ...peer }) => {
      const { changes, oldest } = pendingOf(id, sent);
      return {
        ...peer,
        pendingChanges: changes,
        oldestPendingAt: oldest,
        name: nodeName(peer.name),
        sentPacket: BigInt(peer.sentPacket),
        receivedPacket: BigInt(peer.receivedPacket),
        parked: peer.parked.map((one) => ({ ...one, oldest: { ...one.oldest, id: BigInt(one.oldest.id) } })),
      };
    }),
    tables: stored.tables.map((row) => ({ ...row, table: tableName(row.table) })),
  };
}

/** Smaller changes of a measured clock offset are its noise: an idle system writes nothing. */
const OFFSET_NOISE_MS = 25;

/** See `Installation.notePeers`. A peer whose packet is being applied is left for the next time. */
export async function notePeers(pool: pg.Pool, notes: readonly PeerNote[]): Promise<void> {
  await pool.query(
    `with noted as (select * from json_to_recordset($1::json) as note (name text, pending bigint, "offset" bigint)),
          due as (
            select p.id, noted.pending, noted."offset" from tombolo.peer p join noted on noted.name = p.name
             where p.pending_changes <> noted.pending or (p.clock_offset_ms is null and noted."offset" is not null)
                or abs(p.clock_offset_ms - noted."offset") > ${OFFSET_NOISE_MS}
               for no key update of p skip locked)
     update tombolo.peer p set pending_changes = coalesce(due.pending, p.pending_changes), clock_offset_ms = coalesce(due."offset", p.clock_offset_ms)
       from due where due.id = p.id`,
    [JSON.stringify(notes.map(({ name, pendingChanges, clockOffsetMs }) => ({ name, pending: pendingChanges, offset: clockOffsetMs })))],
  );
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
