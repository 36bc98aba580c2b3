import type pg from "pg";
import { correctedTime } from "../../change/clock.ts";
import type { Row } from "../../change/value.ts";
import { type Clash, changeTime, claimed, conflictRule, type Verdict } from "../../change/verdict.ts";
import type { ApplySession } from "./apply-session.ts";
import { carryOut } from "./carry-out.ts";
import { changesSince, type LogEntry, type LogQuestion, lastDeleted, lookBack } from "./concurrent-changes.ts";
import { conflictRecord } from "./history.ts";
import { inOneGo } from "./in-one-go.ts";
import type { IncomingChange, TextRow } from "./incoming.ts";
import { entriesOf, takeLooked } from "./look-ahead.ts";
import { mustNotTakeAlong } from "./referrers.ts";
import { presentRefreshes, putRefresh } from "./refresh.ts";
import { keyText, lockRows, normalise } from "./rows.ts";

/**
 * Judges one change of a child that does not simply fit the parent's row, and carries the verdict out: the row, the history,
 * and the way back to the child. This node is the parent.
 */
export async function resolveFromChild(session: ApplySession, incoming: IncomingChange): Promise<void> {
  const { table, rule } = incoming.table;
  const { op } = incoming.change;
  // refreshes only ever travel down
  if (op === "R" || op === "T") return;
  const looked = takeLooked(session, incoming);
  const key = looked?.key ?? (await normalise(session, table, incoming.key));
  for (let attempt = 0; ; attempt++) {
    const [parent = null] = await lockRows(session, table, [key]);
    await session.gate.before(incoming, parent !== null);
    const canonical = looked?.canonical ?? (await keyText(session, table, key));
    const ahead = entriesOf(attempt === 0 ? looked : null, parent);
    const question = questionOf(session, incoming, parent !== null);
    const concurrent = ahead ?? (await changesSince(session, { table, keys: [canonical], ...question })).get(canonical) ?? [];
    const entries = concurrent.filter((entry) => !entry.known);
    const before = looked !== null || incoming.old === null ? (looked?.before ?? null) : await normalise(session, table, incoming.old);
    const after = looked !== null || incoming.new === null ? (looked?.after ?? null) : await normalise(session, table, incoming.new);
    const told = lookBack(parent, entries) ?? lastDeleted(concurrent.filter((entry) => entry.known));
    const known = await session.scope.known(table, told);
    const base = op === "I" ? null : { ...(op === "U" ? (known ?? {}) : {}), ...key, ...before };
    const child = op === "D" ? null : { ...(base ?? {}), ...key, ...after };
    const changed = op === "U" ? Object.keys(after ?? {}) : table.columns.map(({ name }) => name);
    const clash: Clash = {
      ...conflictRule(rule),
      table: table.name,
      key: table.key,
      op,
      base,
      child,
      wholeChild: child === null || table.columns.every(({ name }) => name in child),
      parent,
      changed,
      parentChangedAt: (concurrent.find((entry) => touches(entry, claimed(rule, op, changed))) ?? concurrent[0])?.changedAt ?? null,
      childChangedAt: childTime(session, incoming),
      parentNode: session.header.target,
      childNode: session.header.source,
    };
    const judged = await session.scope.judge(table, clash, session.context.judge);
    if (judged.result === null && parent !== null) await mustNotTakeAlong(session, table, key);
    const done = await carryOut(session, { table, key, current: parent }, judged);
    // someone inserted the row while nothing was there to lock: look again
    if (done === null && attempt < 5) continue;
    const verdict = done ?? judged;
    await tell(session, incoming, { clash, verdict, key, parent });
    session.outcome.count(op, 1);
    return;
  }
}

/** Writes down what was decided, for people and for the child. */
async function tell(
  session: ApplySession,
  incoming: IncomingChange,
  {
    clash,
    verdict,
    key,
    parent,
  }: { readonly clash: Clash; readonly verdict: Verdict; readonly key: TextRow; readonly parent: TextRow | null },
): Promise<void> {
  const { table } = incoming.table;
  const { conflict } = verdict;
  const result = finalRow(parent, verdict.result as TextRow | null);
  const record = conflict === null ? [] : [conflictRecord({ clash, conflict, key, result })];
  if (conflict !== null) session.outcome.conflict(table.name, conflict.kind, conflict.resolution);
  const refresh = { peerId: session.peer.id, changedAt: changeTime(clash, verdict) };
  const logged = session.gate.covers(incoming);
  // the row is locked, and the log complete: nothing has to be asked in between
  const atOnce = verdict.refresh && result !== null && (logged || !session.gate.lags);
  const statements = atOnce ? [...record, presentRefreshes(session, table, { ...refresh, keys: [key] })] : record;
  if (statements.length > 0) {
    const done = await inOneGo<readonly pg.QueryResult[]>(session.client, (go) => statements.map((statement) => go.query(statement)));
    // a trigger may have kept the row out
    if (atOnce && done.at(-1)?.rowCount === 1) return;
  }
  if (verdict.refresh) await putRefresh(session, table, { ...refresh, key, logged });
}

/** What of the log the judge of a child's change wants to know; `there`: this node has the row. */
export function questionOf(session: ApplySession, { table: { rule }, change: { op } }: IncomingChange, there: boolean): LogQuestion {
  const seen = session.header.seen[rule.channel] ?? null;
  return {
    // an edit may be older than the packet: the parent's change of the same row that came to the child between the two is concurrent with it
    position: session.lastSeen[rule.channel] ?? (op === "U" && !there ? null : seen),
    alsoKnown: seen,
    exceptFrom: session.peer.id,
  };
}

const touches = ({ op, old, new: now }: LogEntry, isClaimed: (column: string) => boolean): boolean =>
  op !== "U" || Object.keys(now ?? {}).some((column) => isClaimed(column) && now?.[column] !== old?.[column]);

const finalRow = (parent: TextRow | null, result: TextRow | null): Row | null =>
  result === null ? null : { ...(parent ?? {}), ...result };

/** When the child made the change, by this node's clock. */
function childTime(session: ApplySession, incoming: IncomingChange): number | null {
  const { clockOffsetMs, nowMs } = session.context;
  return correctedTime(incoming.change.changedAt, { offsetMs: clockOffsetMs, nowMs });
}
