import { correctedTime } from "../../change/clock.ts";
import type { Row } from "../../change/value.ts";
import type { Clash } from "../../change/verdict.ts";
import type { ApplySession } from "./apply-session.ts";
import { changesSince, lookBack } from "./concurrent-changes.ts";
import { recordConflict } from "./history.ts";
import type { IncomingChange, TextRow } from "./incoming.ts";
import { putRefresh } from "./refresh.ts";
import { bringTo, keyText, lockRows, normalise } from "./rows.ts";

/**
 * Judges one change of a child that does not simply fit the parent's row, and carries the verdict out: the row, the history,
 * and the way back to the child. This node is the parent.
 */
export async function resolveFromChild(session: ApplySession, incoming: IncomingChange): Promise<void> {
  const { table, rule } = incoming.table;
  const { op } = incoming.change;
  // refreshes only ever travel down
  if (op === "R" || op === "T") return;
  const key = await normalise(session, table, incoming.key);
  for (let attempt = 0; ; attempt++) {
    const [parent = null] = await lockRows(session, table, [key]);
    const canonical = await keyText(session, table, key);
    const seen = session.header.seen[rule.channel] ?? null;
    const log = await changesSince(session, {
      table,
      keys: [canonical],
      // an edit may be older than the packet: the parent's change of the same row that came to the child between the two is concurrent with it
      position: session.lastSeen[rule.channel] ?? seen,
      alsoKnown: seen,
      exceptFrom: session.peer.id,
    });
    const concurrent = log.get(canonical) ?? [];
    const entries = concurrent.filter((entry) => !entry.known);
    const before = incoming.old === null ? null : await normalise(session, table, incoming.old);
    const after = incoming.new === null ? null : await normalise(session, table, incoming.new);
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
      parentChangedAt: concurrent[0]?.changedAt ?? null,
      childChangedAt: childTime(session, incoming),
      parentNode: session.header.target,
      childNode: session.header.source,
      policy: rule.policy,
      detect: rule.detect,
    };
    const verdict = session.context.judge(clash);
    const done = await bringTo(session, table, key, parent, verdict.result as TextRow | null);
    // someone inserted the row while nothing was there to lock: look again
    if (!done && attempt < 5) continue;
    if (verdict.conflict !== null) {
      await recordConflict(session, {
        clash,
        verdict,
        conflict: verdict.conflict,
        key,
        result: finalRow(parent, verdict.result as TextRow | null),
      });
      session.outcome.conflict(table.name, verdict.conflict.kind, verdict.conflict.resolution);
    }
    if (verdict.refresh) await putRefresh(session, table, key, session.peer.id);
    session.outcome.count(op, 1);
    return;
  }
}

const finalRow = (parent: TextRow | null, result: TextRow | null): Row | null =>
  result === null ? null : { ...(parent ?? {}), ...result };

/** When the child made the change, by this node's clock. */
function childTime(session: ApplySession, incoming: IncomingChange): number | null {
  const { clockOffsetMs, nowMs } = session.context;
  return correctedTime(incoming.change.changedAt, { offsetMs: clockOffsetMs, nowMs });
}
