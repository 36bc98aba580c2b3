import { type NodeName, type Position, position } from "../../change/names.ts";
import type { Tick } from "../change-log.ts";
import type { StoredProgress } from "../progress.ts";
import { isoTime } from "./clock.ts";
import type { Connection } from "./connection.ts";
import { prepared } from "./rows.ts";

type Seen = Tick["seen"];

/** The number of the newest entry of the log; 0 while it is empty. */
export const newestEntry = (connection: Connection): bigint =>
  prepared(connection, "select coalesce(max(seq), 0) from tombolo_change").pluck().get() as bigint;

/**
 * The newest tick, when nothing was captured after it: then it holds all that there is now, and what was applied from the peers until
 * now is told with it. Otherwise null.
 */
export function sealedTick(connection: Connection): Tick | null {
  const [newest, sealedAs] = (prepared(connection, "select position, sealed_at from tombolo_tick order by position desc limit 1")
    .raw()
    .get() ?? [0n]) as [bigint, string?];
  if (newest < newestEntry(connection)) return null;
  return { position: position(newest), ...(sealedAs !== undefined && { sealedAs }), seen: seenNow(connection) };
}

/** How much of every peer's log this node has applied, at the moment of the caller's transaction. */
export function seenNow(connection: Connection): Seen {
  const rows = prepared(connection, "select name, received from tombolo_peer").raw().all() as [string, string][];
  return readSeen(
    JSON.stringify(
      Object.fromEntries(
        rows.map(([name, received]) => [
          name,
          Object.fromEntries(
            Object.entries(JSON.parse(received) as StoredProgress).map(([channel, progress]) => [channel, progress.position]),
          ),
        ]),
      ),
    ),
  );
}

/** Stores a tick; it is sealed when the caller's transaction is committed. One that is there already stays as it was sealed. Answers how it is sealed. */
export function storeTick(connection: Connection, tick: Tick, now: number): Tick {
  const seen = Object.fromEntries(
    Object.entries(tick.seen).map(([peer, channels]) => [
      peer,
      Object.fromEntries(Object.entries(channels).map(([channel, at]) => [channel, at.toString()])),
    ]),
  );
  const sealedAs = prepared(
    connection,
    `insert into tombolo_tick (position, seen, sealed_at) values (?, ?, ?)
       on conflict (position) do update set sealed_at = tombolo_tick.sealed_at returning sealed_at`,
  )
    .pluck()
    .get(tick.position, JSON.stringify(seen), isoTime(now)) as string;
  return { ...tick, sealedAs };
}

/** `Tick.sealedAs` of the tick at a position; null where there is none. */
export const sealOf = (connection: Connection, at: Position): string | null =>
  (prepared(connection, "select sealed_at from tombolo_tick where position = ?").pluck().get(at) as string | undefined) ?? null;

/** Whether the log goes on from a tick that was read before. One that is purged was read, and there is a later one. */
export function goesOnFrom(connection: Connection, { position: at, sealedAs }: Pick<Tick, "position" | "sealedAs">): boolean {
  // the beginning is not sealed until somebody reads from there
  if (sealedAs === undefined) return true;
  const first = prepared(connection, "select position, sealed_at from tombolo_tick where position >= ? order by position limit 1")
    .raw()
    .get(at) as [bigint, string] | undefined;
  return first !== undefined && (first[0] > at || first[1] === sealedAs);
}

function readSeen(stored: string): Seen {
  const peers = JSON.parse(stored) as { [peer: NodeName]: { [channel: string]: string } };
  const seen: { [peer: string]: { [channel: string]: Position } } = {};
  for (const [peer, channels] of Object.entries(peers)) {
    seen[peer] = Object.fromEntries(Object.entries(channels).map(([channel, at]) => [channel, position(at)]));
  }
  return seen;
}
