import { position } from "../../change/names.ts";
import type { Tick } from "../change-log.ts";
import type { StoredProgress } from "../progress.ts";

/** Serialises ticks, so that a later tick never shows less than an earlier one. Taken before the snapshot is. */
export const TICK_LOCK = "select pg_advisory_xact_lock(hashtext('tombolo'), hashtext('tick'))";

/** What every peer's log was applied to, by the same snapshot as the tick's. */
export const SEEN = "coalesce((select jsonb_object_agg(p.name, p.received) from tombolo.peer p), '{}')";

export function tickOf(row: { readonly position: string; readonly seen: string }): Tick {
  const peers = JSON.parse(row.seen) as { [peer: string]: StoredProgress };
  const seen = Object.fromEntries(
    Object.entries(peers).map(([peer, progress]) => [
      peer,
      Object.fromEntries(Object.entries(progress).map(([channel, { position: at }]) => [channel, position(at)])),
    ]),
  );
  return { position: position(row.position), seen };
}
