import { correctedTime } from "../../change/clock.ts";
import type { Row } from "../../change/value.ts";
import { type Clash, changeTime, claimed, conflictRule } from "../../change/verdict.ts";
import type { ApplySession } from "./apply-session.ts";
import { carryOut } from "./carry-out.ts";
import { isoTime } from "./clock.ts";
import { changesSince, type LogEntry, lastDeleted, lookBack } from "./concurrent-changes.ts";
import { recordConflict } from "./history.ts";
import { asRow, type IncomingChange } from "./incoming.ts";
import { mustNotTakeAlong } from "./referrers.ts";
import { putRefresh } from "./refresh.ts";
import { boundValue, findRow, keyImage, rowOf } from "./rows.ts";

/**
 * Judges one change of a child that does not simply fit the parent's row, and carries the verdict out: the row, the history, and the
 * way back to the child. This node is the parent; its transaction holds the write lock.
 */
export function resolveFromChild(session: ApplySession, incoming: IncomingChange): void {
  const { table, rule } = incoming.table;
  const { op } = incoming.change;
  // refreshes and truncates only ever travel down
  if (op === "R" || op === "T") return;
  const { connection, context, header } = session;
  const found = findRow(connection, table, incoming.key);
  const parent = rowOf(table, found);
  const look = { tableId: table.id, key: found?.key ?? keyImage(connection, table, incoming.key), exceptFrom: session.peer.id };
  const entries = changesSince(connection, { ...look, position: header.seen[rule.channel] ?? null });
  // an edit may be older than the packet: the parent's change that came to the child between the two is concurrent with it
  const earlier = (): LogEntry[] => changesSince(connection, { ...look, position: null }).slice(entries.length);
  const [newest] = entries.length > 0 ? entries : earlier();
  const key = Object.fromEntries(table.key.map((name, at) => [name, boundValue(incoming.key[at] ?? null)]));
  const before = incoming.old === null ? null : asRow(incoming.old);
  const after = incoming.new === null ? null : asRow(incoming.new);
  const known = session.scope.known(table, lookBack(parent, entries) ?? (op === "U" ? lastDeleted(earlier()) : null));
  const base = op === "I" ? null : { ...(op === "U" ? (known ?? {}) : {}), ...key, ...before };
  const child = op === "D" ? null : { ...(base ?? {}), ...key, ...after };
  const changed = op === "U" ? Object.keys(after ?? {}) : table.columns.map(({ name }) => name);
  const isClaimed = claimed(rule, op, changed);
  const rival = entries.find((entry) => entry.op !== "H" && (entry.op !== "U" || entry.changed.some(isClaimed)));
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
    parentChangedAt: (rival ?? entries.find((entry) => entry.op !== "H") ?? newest)?.changedAt ?? null,
    childChangedAt: correctedTime(incoming.change.changedAt, { offsetMs: context.clockOffsetMs, nowMs: context.nowMs }),
    parentNode: header.target,
    childNode: header.source,
  };
  const judged = session.scope.judge(table, clash, context.judge);
  if (judged.result === null && parent !== null) {
    mustNotTakeAlong(connection, { table, key: incoming.key, context, source: header.source });
  }
  const verdict = carryOut(session, { table, key: incoming.key, current: parent }, judged);
  if (verdict.conflict !== null) {
    recordConflict(session, { clash, conflict: verdict.conflict, key, result: finalRow(parent, verdict.result) });
    session.outcome.conflict(table.name, verdict.conflict.kind, verdict.conflict.resolution);
  }
  if (verdict.refresh) {
    const changedAt = changeTime(clash, verdict);
    const at = changedAt === null ? session.clock() : changedAt / 1000;
    putRefresh(connection, { table, key: incoming.key, peer: session.peer.id, at: isoTime(at) });
  }
  session.outcome.count(op);
}

const finalRow = (parent: Row | null, result: Row | null): Row | null => (result === null ? null : { ...(parent ?? {}), ...result });
