import { type ChannelName, channelName } from "../../change/names.ts";
import { LEFT_BEHIND } from "../retention.ts";
import { isoTime } from "./clock.ts";
import { heldForCompares } from "./compare-holds.ts";
import type { Connection } from "./connection.ts";
import { heldForCopies } from "./copy-runs.ts";

/** Rows that one transaction deletes: the application waits no longer than a few milliseconds. */
const PURGE_ROWS = 1000n;
/** A reader that was given tables and never came back holds the log no longer than this. */
const HOLD_MS = 24 * 3600_000;

/** SQL: the log is kept for the neighbour. */
const READS = "(state <> 'must_resync' or reason is not ?)";

/** Per channel, how far the log has been purged. */
export function purgedUpTo(connection: Connection): Map<ChannelName, bigint> {
  const stored = connection.prepare("select purged from tombolo_node").pluck().get() as string;
  return new Map(
    Object.entries(JSON.parse(stored) as { [channel: string]: string }).map(([channel, at]) => [channelName(channel), BigInt(at)]),
  );
}

/** Deletes some of what no reader needs any more; answers whether there may be more to delete. */
export function purgeSome(connection: Connection, channel: ChannelName, now: number): boolean {
  connection.prepare("delete from tombolo_hold where made_at < ?").run(isoTime(now - HOLD_MS));
  const bound = neededFrom(connection, channel, now);
  const purged = purgedUpTo(connection);
  const start = purged.get(channel) ?? 0n;
  if (bound > start) {
    const next = Object.fromEntries([...purged, [channel, bound]].map(([name, at]) => [name, String(at)]));
    connection.prepare("update tombolo_node set purged = ?").run(JSON.stringify(next));
  }
  // the newest row stays: the next one's number is counted from it
  const deleted = connection
    .prepare(
      `delete from tombolo_change where seq in (
         select seq from tombolo_change
          where seq <= ? and seq < (select max(seq) from tombolo_change)
            and table_id in (select s.id from tombolo_shape s join tombolo_captured_table c on c.table_name = s.table_name where c.channel = ?)
          order by seq limit ${PURGE_ROWS})`,
    )
    .run(bound, channel);
  connection
    .prepare("delete from tombolo_tick where position < (select max(position) from tombolo_tick) and position < ?")
    .run(lowestPosition(connection, now));
  return BigInt(deleted.changes) === PURGE_ROWS;
}

/** Everything up to here may go. */
function neededFrom(connection: Connection, channel: ChannelName, now: number): bigint {
  const rows = connection
    .prepare(`select sent, judged, role = 'child' and state in ('snapshot', 'must_resync') from tombolo_peer where ${READS}`)
    .raw()
    .all(LEFT_BEHIND) as [string, string, bigint][];
  // a neighbour that has acknowledged nothing at all has its first rows in the log, unless it is a child that is to be filled anew
  if (rows.some(([sent, , isFilledAnew]) => sent === "{}" && isFilledAnew === 0n)) return 0n;
  const bounds = rows.flatMap(([sent, judged]) => {
    const acknowledged = at(sent, channel);
    if (acknowledged === null) return [];
    // what a parent has judged since its last packet is needed to understand its next one (see judged-meanwhile.ts); what came to a child
    // since its last packet is needed to judge its next one: among it are deletions of rows that it edits
    const known = at(judged, channel);
    return known === null ? [acknowledged] : [acknowledged, known];
  });
  const held = connection
    .prepare(
      `select position from tombolo_hold where channel = :channel
        union all
       select t.seeded_at from tombolo_peer_table t join tombolo_peer p on p.id = t.peer_id join tombolo_captured_table c on c.table_name = t.table_name
        where c.channel = :channel and t.seeded_at is not null and not exists (select 1 from json_each(p.sent) j where j.key = :channel)`,
    )
    .pluck()
    .all({ channel }) as bigint[];
  const copied = heldForCopies(connection);
  const all = [...bounds, ...held, ...(copied === null ? [] : [copied])];
  const compared = heldForCompares(connection, channel, isoTime(now));
  const unlessCompared = (bound: bigint): bigint => (compared !== null && compared < bound ? compared : bound);
  // those who did are left behind
  if (all.length === 0 && rows.length === 0) return unlessCompared(leftBehind(connection));
  // nobody reads the channel
  if (all.length === 0) all.push(...rows.flatMap(([sent]) => positions(sent)));
  return unlessCompared(lowest(all) ?? 0n);
}

/** What only readers need for whom the log is not kept any longer: all of it, where there are any. */
const leftBehind = (connection: Connection): bigint =>
  connection
    .prepare("select iif(exists (select 1 from tombolo_peer), coalesce(max(position), 0), 0) from tombolo_tick")
    .pluck()
    .get() as bigint;

const positions = (stored: string): bigint[] => Object.values(JSON.parse(stored) as { [channel: string]: string }).map(BigInt);

const lowest = (all: readonly bigint[]): bigint | null =>
  all.reduce<bigint | null>((low, position) => (low === null || position < low ? position : low), null);

function lowestPosition(connection: Connection, now: number): bigint {
  const rows = connection
    .prepare(`select j.value from tombolo_peer p, json_each(p.sent) j where ${READS} union all select position from tombolo_hold`)
    .pluck()
    .all(LEFT_BEHIND);
  const held = [heldForCopies(connection), heldForCompares(connection, null, isoTime(now))].filter((position) => position !== null);
  return lowest([...rows.map((value) => BigInt(value as string | bigint)), ...held]) ?? 0n;
}

function at(stored: string, channel: ChannelName): bigint | null {
  const position = (JSON.parse(stored) as { [channel: string]: string })[channel];
  return position === undefined ? null : BigInt(position);
}
