import { correctedTime } from "../../change/clock.ts";
import type { Row } from "../../change/value.ts";
import type { Clash } from "../../change/verdict.ts";
import type { ApplySession } from "./apply-session.ts";
import { isoTime } from "./clock.ts";
import { changesSince, lookBack } from "./concurrent-changes.ts";
import { recordConflict } from "./history.ts";
import { asRow, type IncomingChange } from "./incoming.ts";
import { putRefresh } from "./refresh.ts";
import { boundValue, findRow, keyImage, rowOf } from "./rows.ts";
import { bringTo } from "./write-row.ts";

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
  const [newest] = entries.length > 0 ? entries : changesSince(connection, { ...look, position: null });
  const key = Object.fromEntries(table.key.map((name, at) => [name, boundValue(incoming.key[at] ?? null)]));
  const before = incoming.old === null ? null : asRow(incoming.old);
  const after = incoming.new === null ? null : asRow(incoming.new);
  const known = lookBack(parent, entries);
  const base = op === "I" ? null : { ...(op === "U" ? (known ?? {}) : {}), ...key, ...before };
  const child = op === "D" ? null : { ...(base ?? {}), ...key, ...after };
  const clash: Clash = {
    table: table.name,
    op,
    base,
    child,
    wholeChild: child === null || table.columns.every(({ name }) => name in child),
    parent,
    changed: op === "U" ? Object.keys(after ?? {}) : table.columns.map(({ name }) => name),
    parentChangedAt: (entries.find((entry) => entry.op !== "H") ?? newest)?.changedAt ?? null,
    childChangedAt: correctedTime(incoming.change.changedAt, { offsetMs: context.clockOffsetMs, nowMs: context.nowMs }),
    parentNode: header.target,
    childNode: header.source,
    policy: rule.policy,
    detect: rule.detect,
  };
  const verdict = context.judge(clash);
  bringTo(connection, table, { key: incoming.key, current: parent, wanted: verdict.result });
  if (verdict.conflict !== null) {
    recordConflict(session, { clash, verdict, conflict: verdict.conflict, key, result: finalRow(parent, verdict.result) });
    session.outcome.conflict(table.name, verdict.conflict.kind, verdict.conflict.resolution);
  }
  if (verdict.refresh) putRefresh(connection, { table, key: incoming.key, peer: session.peer.id, at: isoTime(session.clock()) });
  session.outcome.count(op);
}

const finalRow = (parent: Row | null, result: Row | null): Row | null => (result === null ? null : { ...(parent ?? {}), ...result });
