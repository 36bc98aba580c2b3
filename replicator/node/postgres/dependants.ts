import { dependantsOf, ReferredRows, type Referring, writtenRow } from "../references.ts";
import type { ApplySession } from "./apply-session.ts";
import { type Refused, refersToParked, waitsForParked } from "./attempt.ts";
import type { IncomingChange } from "./incoming.ts";

/**
 * Applies changes of which some will be refused; answers those, and with them what refers to their rows by foreign keys that only the child's
 * database has: others would be given rows without what they refer to. Such a row may have been applied before its parent row was refused; then
 * all is undone, and done again without the two.
 */
export async function withoutDependants(
  session: ApplySession,
  changes: readonly IncomingChange[],
  apply: (changes: readonly IncomingChange[]) => Promise<readonly Refused[]>,
): Promise<Refused[]> {
  const out: Refused[] = [];
  if (session.context.from !== "child" || !changes.some(({ table }) => table.shape.references !== undefined))
    return [...(await apply(changes))];
  for (let left = changes; left.length > 0; ) {
    const restore = session.outcome.checkpoint();
    await session.client.query("savepoint dependants");
    const refused = await apply(left);
    const dependants = referringTo(refused, left);
    if (dependants.length > 0) {
      await session.client.query("rollback to savepoint dependants");
      restore();
    }
    await session.client.query("release savepoint dependants");
    out.push(...refused, ...dependants);
    if (dependants.length === 0) break;
    const gone = new Set(out.map(({ incoming }) => incoming));
    left = left.filter((incoming) => !gone.has(incoming));
  }
  return out;
}

/** Changes of rows that refer to one whose insert is parked, and what refers to those. */
export function waitingForParked(session: ApplySession, changes: readonly IncomingChange[]): Refused[] {
  if (session.waiting.isEmpty) return [];
  const waiting = changes.flatMap((incoming): Refused[] => {
    const error = waitsForParked(session, incoming);
    return error === null ? [] : [{ incoming, error }];
  });
  return [...waiting, ...referringTo(waiting, changes)];
}

/** A change as this database's foreign keys see it. */
export const referring = ({ change, table }: IncomingChange): Referring => ({
  table: table.table.name,
  row: writtenRow(change),
  references: table.table.shape.references ?? [],
});

/** The rows that these changes would insert, to be found by what refers to them here. */
export function insertedRows(changes: readonly IncomingChange[]): ReferredRows<IncomingChange> {
  const rows = new ReferredRows<IncomingChange>(changes.flatMap(({ table }) => table.table.shape.references ?? []));
  for (const incoming of changes)
    if (incoming.change.op === "I") rows.add(incoming.table.table.name, writtenRow(incoming.change), incoming);
  return rows;
}

/** Changes that hang, by this database's foreign keys, on an insert that was refused. */
export function referringToRefused(refused: readonly Refused[], changes: readonly IncomingChange[]): Refused[] {
  const roots = new Set(refused.map(({ incoming }) => incoming).filter(({ change }) => change.op === "I"));
  if (roots.size === 0 || changes.every(({ table }) => table.table.shape.references === undefined)) return [];
  return [...dependantsOf(roots, changes, referring)].map((incoming) => ({ incoming, error: refersToParked(incoming.table) }));
}

function referringTo(refused: readonly Refused[], changes: readonly IncomingChange[]): Refused[] {
  const known = new Set(refused.map(({ incoming }) => incoming));
  const roots = new Set([...known].filter(({ change }) => change.op === "I"));
  if (roots.size === 0) return [];
  const found = dependantsOf(roots, changes, ({ change, table }) => ({
    table: table.table.name,
    row: writtenRow(change),
    references: table.shape.references ?? [],
  }));
  return [...found].filter((incoming) => !known.has(incoming)).map((incoming) => ({ incoming, error: refersToParked(incoming.table) }));
}
