import { type NodeName, nodeName } from "../../change/names.ts";
import { LEFT_BEHIND, type LeftBehind, type Retention } from "../retention.ts";
import { isoTime } from "./clock.ts";
import { holdsTooLong, releaseCompareHolds } from "./compare-holds.ts";
import type { Connection, DatabaseFile } from "./connection.ts";
import { prepared } from "./rows.ts";
import { logSize } from "./status.ts";

interface Reader {
  readonly name: NodeName;
  readonly at: bigint | null;
}

/**
 * Gives up readers that are further behind than the log is kept: marks them, then purges. Of two limits, the size is met by giving up the furthest, one after the other.
 */
export async function retain(
  file: DatabaseFile,
  { keepMs, maxBytes, now, purge }: Retention & { readonly now: number; readonly purge: () => Promise<void> },
): Promise<readonly LeftBehind[]> {
  const tooOld = (connection: Connection): Reader[] =>
    readers(connection).filter(({ at }) => at !== null && isOlder(connection, at, isoTime(now - keepMs)));
  // nearly always there are none: the write lock is not asked for then
  const old =
    file.read(tooOld).length === 0 ? [] : await file.write((connection) => tooOld(connection).map((reader) => mark(connection, reader)));
  const found: LeftBehind[] = old.map((reader) => ({ reader, limit: "log.keep" }));
  const tooLarge = (): boolean => file.read(logSize).bytes > maxBytes;
  const release = (before: string | null): Promise<boolean> =>
    file.write((connection) => releaseCompareHolds(connection, before, isoTime(now)));
  const released =
    file.read((connection) => holdsTooLong(connection, isoTime(now - keepMs), isoTime(now))) && (await release(isoTime(now - keepMs)));
  if (released || old.length > 0 || tooLarge()) await purge();
  // a comparison can look at everything instead; a child cannot
  if (tooLarge() && (await release(null))) await purge();
  while (tooLarge()) {
    const furthest = await file.write((connection) => {
      const [first] = readers(connection).sort((a, b) => (standsAt(a) < standsAt(b) ? -1 : 1));
      const newest = prepared(connection, "select coalesce(max(position), 0) from tombolo_tick").pluck().get() as bigint;
      return first === undefined || standsAt(first) >= newest ? null : mark(connection, first);
    });
    if (furthest === null) break;
    found.push({ reader: furthest, limit: "log.max_size" });
    await purge();
  }
  return found;
}

/**
 * Only children: what a parent has not read yet are edits that are nowhere else. One that has acknowledged nothing stands where its tables began to be read for it;
 * before that, null: it is young, or never came to it.
 */
function readers(connection: Connection): Reader[] {
  const rows = prepared(
    connection,
    `select name, iif(sent = '{}', (select min(t.seeded_at) from tombolo_peer_table t where t.peer_id = p.id),
                                   (select min(cast(j.value as integer)) from json_each(sent) j))
       from tombolo_peer p where role = 'child' and state not in ('must_resync', 'snapshot')`,
  )
    .raw()
    .all() as [string, bigint | null][];
  return rows.map(([name, at]) => ({ name: nodeName(name), at }));
}

/** Where the log is too large: a child that never came to it holds all of it. */
const standsAt = ({ at }: Reader): bigint => at ?? 0n;

const isOlder = (connection: Connection, at: bigint, than: string): boolean =>
  prepared(connection, "select exists (select 1 from tombolo_tick where position > ? and sealed_at < ?)").pluck().get(at, than) === 1n;

function mark(connection: Connection, { name }: Reader): NodeName {
  prepared(connection, "update tombolo_peer set state = 'must_resync', reason = ? where name = ?").run(LEFT_BEHIND, name);
  return name;
}
