import type pg from "pg";
import { type Clash, changeTime, type Verdict } from "../../change/verdict.ts";
import type { ApplySession } from "./apply-session.ts";
import { carryOut } from "./carry-out.ts";
import { clashOf, questionOf } from "./clash.ts";
import { changesSince } from "./concurrent-changes.ts";
import { conflictRecords, finalRow } from "./history.ts";
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
  const { table } = incoming.table;
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
    const before = looked !== null || incoming.old === null ? (looked?.before ?? null) : await normalise(session, table, incoming.old);
    const after = looked !== null || incoming.new === null ? (looked?.after ?? null) : await normalise(session, table, incoming.new);
    const decided = ahead === null ? undefined : looked?.decided;
    const clash = decided?.clash ?? (await clashOf(session, incoming, { key, before, after, parent, concurrent }));
    const judged = decided?.verdict ?? (await session.scope.judge(table, clash, session.context.judge));
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
  const record = conflict === null ? [] : [conflictRecords([{ clash, conflict, key, result }])];
  if (conflict !== null) session.outcome.conflict(table.name, conflict.kind, conflict.resolution);
  const changedAt = changeTime(clash, verdict);
  const peerId = session.peer.id;
  const logged = session.gate.covers(incoming);
  // the row is locked, and the log complete: nothing has to be asked in between
  const atOnce = verdict.refresh && result !== null && (logged || !session.gate.lags);
  const statements = atOnce ? [...record, presentRefreshes(session, table, { peerId, rows: [{ key, changedAt }] })] : record;
  if (statements.length > 0) {
    const done = await inOneGo<readonly pg.QueryResult[]>(session.client, (go) => statements.map((statement) => go.query(statement)));
    // a trigger may have kept the row out
    if (atOnce && done.at(-1)?.rowCount === 1) return;
  }
  if (verdict.refresh) await putRefresh(session, table, { key, peerId, changedAt, logged });
}
