import type pg from "pg";
import { TomboloError } from "../../../change/error.ts";
import type { Queryable } from "../shape.ts";
import { type Lsn, parseLsn } from "./lsn.ts";

/** tombolo.slot, and what the server says of the slot that it names. */
export interface SlotState {
  readonly slot: string;
  readonly publication: string;
  readonly system: string;
  readonly timeline: number;
  /** Everything that ended here or before is in the change log. */
  readonly cursor: Lsn;
  readonly state: "live" | "lost";
  readonly reason: string | null;
  readonly server: ServerSlot | null;
}

interface ServerSlot {
  readonly plugin: string;
  readonly database: string;
  readonly here: boolean;
  readonly confirmed: string | null;
  readonly restart: string | null;
  readonly walStatus: string | null;
  readonly invalidation: string | null;
  readonly activePid: number | null;
  readonly retainedBytes: number | null;
  readonly safeBytes: number | null;
  /** Transactions since the oldest whose dead catalogue rows vacuum keeps for it. */
  readonly catalogueAge: number | null;
  /** At this age the server vacuums by force. */
  readonly freezeAge: number;
}

/** As JSON, because the columns of the view differ by version. */
const SELECT = `
  select json_build_object(
    'slot', s.slot_name, 'publication', s.publication, 'system', s.system_identifier, 'timeline', s.timeline, 'cursor', s.end_lsn, 'state', s.state, 'reason', s.reason,
    'server', (
      select json_build_object('plugin', r.plugin, 'database', r.database, 'here', r.database = current_database(), 'confirmed', r.confirmed_flush_lsn, 'restart', r.restart_lsn,
               'walStatus', r.wal_status, 'invalidation', to_jsonb(r) ->> 'invalidation_reason', 'activePid', r.active_pid,
               'retainedBytes', pg_wal_lsn_diff(pg_current_wal_lsn(), r.restart_lsn)::bigint, 'safeBytes', r.safe_wal_size,
               'catalogueAge', age(r.catalog_xmin), 'freezeAge', current_setting('autovacuum_freeze_max_age')::int)
        from pg_replication_slots r where r.slot_name = s.slot_name))::text as state
    from tombolo.slot s`;

/** Null where the node does not capture from a slot. */
export async function slotState(client: Queryable): Promise<SlotState | null> {
  const { rows } = await client.query<{ state: string }>(SELECT);
  if (rows[0] === undefined) return null;
  const stored = JSON.parse(rows[0].state) as Omit<SlotState, "cursor"> & { cursor: string };
  return { ...stored, cursor: parseLsn(stored.cursor) };
}

/** Why the log cannot be continued from the slot; null when it can. `now`: the server as IDENTIFY_SYSTEM describes it. */
export function lossOf(state: SlotState, now: { readonly system: string; readonly timeline: number } | null): string | null {
  const { server } = state;
  if (now !== null && state.system !== now.system) return "the database was moved to another cluster";
  if (now !== null && state.timeline !== now.timeline) {
    return "the server was promoted or restored: its log goes on along another timeline";
  }
  if (server === null) return `the replication slot ${state.slot} is gone`;
  if (server.plugin !== "pgoutput" || !server.here) return `the replication slot ${state.slot} belongs to someone else`;
  if (server.walStatus === "lost" || server.invalidation !== null || server.restart === null) {
    return `the server has invalidated the replication slot ${state.slot}${server.invalidation === null ? "" : ` (${server.invalidation})`}`;
  }
  if (server.confirmed !== null && parseLsn(server.confirmed) > state.cursor) {
    return `the replication slot ${state.slot} was made anew, or moved on, by someone else`;
  }
  return null;
}

/**
 * Records that changes may be missing from the log: every captured table must be compared, every neighbour synchronised anew. Nothing is
 * read from the log any more until `apply` has made a new slot.
 */
export async function recordLoss(pool: pg.Pool, reason: string): Promise<void> {
  await pool.query(
    `with lost as (update tombolo.slot set state = 'lost', reason = $1 where state <> 'lost' returning 1),
          tables as (update tombolo.captured_table set state = 'must_compare', reason = 'SLOT_LOST' where exists (select from lost))
     update tombolo.peer set state = 'must_resync', reason = $1 where exists (select from lost)`,
    [reason],
  );
}

export const slotLost = (reason: string): TomboloError =>
  new TomboloError(`changes of this node may be missing from its log: ${reason}`, {
    code: "SLOT_LOST",
    kind: "operator",
    hint: "Run `tombolo apply`: it makes a new slot. Then compare the node's tables with its neighbours', and fill those that differ anew.",
  });
