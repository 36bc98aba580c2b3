import type { ApplySession } from "./apply-session.ts";
import { changesSince, type LogEntry, type LogQuestion } from "./concurrent-changes.ts";
import { mustNotDangle } from "./dangling.ts";
import { recordOverwritten } from "./history.ts";
import type { IncomingChange, TextRow } from "./incoming.ts";
import { entriesOf, takeLooked } from "./look-ahead.ts";
import { deleteForParent } from "./referrers.ts";
import { bringTo, keyText, lockRows, normalise } from "./rows.ts";

/** What this node has changed about a row and its parent has not judged yet. */
interface PendingChange {
  readonly any: boolean;
  readonly deleted: boolean;
  /** Inserted: every column is ours until the verdict comes. */
  readonly whole: boolean;
  readonly columns: ReadonlySet<string>;
  /** Offered to the parent when the two met, as it may not have had it. */
  readonly offered: boolean;
}

/**
 * Applies one change of the parent whose row is not what the parent had. This node is a child: it obeys, except for columns
 * that it has changed itself and the parent has not judged yet; the verdict about those follows.
 */
export async function obeyParent(session: ApplySession, incoming: IncomingChange): Promise<void> {
  const { table } = incoming.table;
  const { op } = incoming.change;
  const looked = takeLooked(session, incoming);
  const key = looked?.key ?? (await normalise(session, table, incoming.key));
  for (let attempt = 0; ; attempt++) {
    const [current = null] = await lockRows(session, table, [key]);
    await session.gate.before(incoming, current !== null);
    const ahead = entriesOf(attempt === 0 ? looked : null, current);
    const pending = ahead === null ? await pendingChange(session, incoming, key) : summary(ahead);
    const after = looked !== null || incoming.new === null ? (looked?.after ?? null) : await normalise(session, table, incoming.new);
    const done = await obey(session, incoming, { key, current, pending, after });
    if (!done && attempt < 5) continue;
    if (after !== null) await mustNotDangle(session, incoming.table, { columns: Object.keys(after), rows: [{ key }] });
    session.outcome.count(op, 1);
    return;
  }
}

async function obey(
  session: ApplySession,
  incoming: IncomingChange,
  row: { readonly key: TextRow; readonly current: TextRow | null; readonly pending: PendingChange; readonly after: TextRow | null },
): Promise<boolean> {
  const { table } = incoming.table;
  const { key, current, pending, after } = row;
  const { op } = incoming.change;
  if (op === "D" || (op === "R" && after === null)) {
    // it may have been deleted before the parent had what it was offered, and then it has come back there
    if (current !== null && pending.offered) session.outcome.wanted.push({ table: table.name, key: incoming.change.key });
    else if (current !== null && !pending.any) await deleteForParent(session, table, key);
    return true;
  }
  // deleted here: the parent judges that first
  if (pending.deleted) return true;
  if (current === null) {
    if (op === "U") {
      // part of a row is no row: ask for all of it
      session.outcome.wanted.push({ table: table.name, key: incoming.change.key });
      return true;
    }
    return bringTo(session, table, key, null, after);
  }
  const wanted = withoutPending(after ?? {}, pending);
  if (op === "I" && session.header.kind === "fill" && !pending.any && differs(current, wanted)) {
    await recordOverwritten(session, { table, key, current, wanted: { ...current, ...wanted } });
  }
  return bringTo(session, table, key, current, wanted);
}

const differs = (current: TextRow, wanted: TextRow): boolean => Object.keys(wanted).some((name) => wanted[name] !== current[name]);

function withoutPending(row: TextRow, pending: PendingChange): TextRow {
  if (pending.whole) return {};
  return Object.fromEntries(Object.entries(row).filter(([name]) => !pending.columns.has(name)));
}

async function pendingChange(session: ApplySession, incoming: IncomingChange, key: TextRow): Promise<PendingChange> {
  const { table } = incoming.table;
  const question = pendingQuestion(session, incoming);
  if (question === null) return summary([]);
  const canonical = await keyText(session, table, key);
  const entries = await changesSince(session, { table, keys: [canonical], ...question });
  return summary(entries.get(canonical) ?? []);
}

/** What of the log tells what the parent has not judged yet; null where it judges nothing. */
export const pendingQuestion = (session: ApplySession, { table: { rule } }: IncomingChange): LogQuestion | null =>
  rule.oneWay === true
    ? null
    : { position: session.header.seen[rule.channel] ?? null, exceptFrom: session.peer.id, offeredTo: session.peer.id };

/** Entries newest first. What was offered holds nothing back but a deletion: the parent's rows are taken, and what differs is judged there. */
function summary(found: readonly LogEntry[]): PendingChange {
  const entries = found.filter(({ offered }) => !offered);
  const columns = new Set<string>();
  for (const entry of entries) for (const name in entry.new ?? {}) columns.add(name);
  return {
    any: entries.length > 0,
    deleted: entries[0]?.op === "D",
    whole: entries.some((entry) => entry.op === "I"),
    columns,
    offered: entries.length < found.length,
  };
}
