import { correctedTime } from "../../change/clock.ts";
import { type Clash, claimed, conflictRule } from "../../change/verdict.ts";
import type { ApplySession } from "./apply-session.ts";
import { type LogEntry, type LogQuestion, lastDeleted, lookBack } from "./concurrent-changes.ts";
import type { IncomingChange, TextRow } from "./incoming.ts";

/** What a child's change meets. */
export interface Met {
  /** The change's key and images, as this node prints them. */
  readonly key: TextRow;
  readonly before: TextRow | null;
  readonly after: TextRow | null;
  /** This node's row; null where there is none. */
  readonly parent: TextRow | null;
  /** What the log answers to `questionOf`, newest first. */
  readonly concurrent: readonly LogEntry[];
}

/** What there is to judge where a child's change meets this node's row. */
export async function clashOf(
  session: ApplySession,
  incoming: IncomingChange,
  { key, before, after, parent, concurrent }: Met,
): Promise<Clash> {
  const { table, rule } = incoming.table;
  const { op } = incoming.change;
  const entries = concurrent.filter((entry) => !entry.known);
  const told = lookBack(parent, entries) ?? lastDeleted(concurrent.filter((entry) => entry.known));
  const known = await session.scope.known(table, told);
  const base = op === "I" ? null : { ...(op === "U" ? (known ?? {}) : {}), ...key, ...before };
  const child = op === "D" ? null : { ...(base ?? {}), ...key, ...after };
  const changed = op === "U" ? Object.keys(after ?? {}) : table.columns.map(({ name }) => name);
  return {
    ...conflictRule(rule),
    table: table.name,
    key: table.key,
    op: op as Clash["op"],
    base,
    child,
    wholeChild: child === null || table.columns.every(({ name }) => name in child),
    parent,
    changed,
    parentChangedAt:
      (concurrent.find((entry) => touches(entry, claimed(rule, op as Clash["op"], changed))) ?? concurrent[0])?.changedAt ?? null,
    childChangedAt: childTime(session, incoming),
    parentNode: session.header.target,
    childNode: session.header.source,
  };
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

/** When the child made the change, by this node's clock. */
function childTime(session: ApplySession, incoming: IncomingChange): number | null {
  const { clockOffsetMs, nowMs } = session.context;
  return correctedTime(incoming.change.changedAt, { offsetMs: clockOffsetMs, nowMs });
}
