import { correctedTime, usableOffset } from "../change/clock.ts";
import { parseRow, type Row } from "../change/value.ts";
import type { ConflictKind } from "../change/verdict.ts";
import type { FoundRow, KeyText } from "../node/digest.ts";
import { isTellableKey } from "../node/digest-text.ts";
import { type DiscardedVersion, type OfferedRow, REPAIR_ROWS } from "../node/repairs.ts";
import type { ComparedLink } from "./compared-link.ts";
import type { ComparedTable } from "./compared-tables.ts";
import type { Difference } from "./comparison.ts";
import { atCuts } from "./cuts.ts";
import { persistently } from "./persistently.ts";
import { type CheckedRow, checkRows } from "./row-check.ts";
import { RowsAtOnce } from "./rows-at-once.ts";

/** Whose row it is to become: always the parent's, or the one that was changed later as far as both logs tell. */
export type RepairSide = "parent" | "newest";

export interface RepairOptions {
  readonly side: RepairSide;
  /** For the history, e.g. `reconcile nightly`. */
  readonly who: string;
  /** This process's clock, milliseconds since 1970. */
  readonly nowMs: number;
  readonly signal: AbortSignal;
}

/** How the clocks of two nodes are brought together. */
interface Clocks {
  readonly offsetMs: number | null;
  readonly nowMs: number;
}

/**
 * Sends what brings the rows of a table together: refreshes from the parent, or offers of the child. Both go through the logs, so that they travel, are
 * judged and are told on like any other change, and a row that was changed meanwhile is not overwritten. What gives way is in the parent's
 * conflict history before it goes. Answers the rows that were sent.
 */
export async function repairTable(
  ends: ComparedLink,
  table: ComparedTable,
  differences: readonly Difference[],
  options: RepairOptions,
): Promise<readonly KeyText[]> {
  const clocks = await clocksOf(ends, options.nowMs);
  const sent: KeyText[] = [];
  const atOnce = new RowsAtOnce({ most: REPAIR_ROWS });
  for (let at = 0; at < differences.length; ) {
    options.signal.throwIfAborted();
    const keys = differences.slice(at, at + atOnce.next).map(({ key }) => key);
    at += keys.length;
    const rows = await atCuts(ends, [table], (opened) => checkRows(ends, table, { opened, index: 0, keys }), [keys]);
    atOnce.note(rows);
    const differing = rows.filter(({ isSame }) => !isSame);
    sent.push(...(await repairRows(ends, table, { rows: differing, clocks, options })));
  }
  return sent;
}

/** A row with what the logs tell of it, microseconds since 1970 by the parent's clock. */
interface TimedRow extends CheckedRow {
  readonly parentChangedAt: number | null;
  readonly childChangedAt: number | null;
}

async function repairRows(
  ends: ComparedLink,
  table: ComparedTable,
  { rows, clocks, options }: { readonly rows: readonly CheckedRow[]; readonly clocks: Clocks; readonly options: RepairOptions },
): Promise<KeyText[]> {
  const { parent, child } = ends;
  if (rows.length === 0) return [];
  // a row whose key has no form at the other node is for a person
  const tellable = rows.filter(({ key }) => isTellableKey(key));
  const timed = await withTimes(ends, table, tellable, clocks);
  const childWins = timed.filter((row) => row.child !== null && isChilds(table, row, options.side));
  const parentWins = timed.filter((row) => !childWins.includes(row) && table.direction !== "up");
  const by = { child: child.name, who: options.who, reason: "the two nodes differed, and no news of the row was under way" };
  if (parentWins.length > 0) {
    const told = parentWins.map(({ key }) => ({ table: table.pair.parent, key }));
    const lost = parentWins.filter((row) => row.child !== null).map((row) => discarded(table, row, "parent"));
    await persistently(() => parent.repairs.overrule(told, lost, by), options.signal);
  }
  // what has no form at the parent it would only set aside
  const offers = childWins.filter(({ child: row, parent: expected }) => row?.texts !== null && expected?.texts !== null);
  if (offers.length > 0) {
    const givesWay = offers.filter((row) => row.parent !== null).map((row) => discarded(table, row, "child"));
    const offered = offers.map(({ key, parent: expected, childChangedAt }): OfferedRow => {
      return { table: table.pair.child, key, expected: expected?.texts ?? null, changedAt: childChangedAt };
    });
    await persistently(() => parent.repairs.record(givesWay, by), options.signal);
    await persistently(() => child.repairs.offer(parent.name, offered), options.signal);
  }
  return [...parentWins, ...offers].map(({ key }) => key);
}

/** What only travels up is the child's, whatever is asked for; what only travels down is the parent's. */
function isChilds({ direction }: ComparedTable, { parentChangedAt, childChangedAt, parent }: TimedRow, side: RepairSide): boolean {
  if (direction !== "both") return direction === "up";
  if (side === "parent" || childChangedAt === null) return false;
  return parent === null || (parentChangedAt !== null && childChangedAt > parentChangedAt);
}

async function withTimes(
  { parent, child }: ComparedLink,
  { pair }: ComparedTable,
  rows: readonly CheckedRow[],
  clocks: Clocks,
): Promise<readonly TimedRow[]> {
  const keys = (side: "parent" | "child"): string[] => rows.flatMap((row) => row[side]?.key ?? []);
  const [above, below] = await Promise.all([
    parent.repairs.lastChanged(pair.parent, keys("parent")),
    child.repairs.lastChanged(pair.child, keys("child")),
  ]);
  const [ofParent, ofChild] = [above.values(), below.values()];
  return rows.map((row) => {
    const parentChangedAt = row.parent === null ? null : (ofParent.next().value ?? null);
    const changedAt = row.child === null ? null : (ofChild.next().value ?? null);
    return { ...row, parentChangedAt, childChangedAt: changedAt === null ? null : correctedTime(changedAt, clocks) };
  });
}

async function clocksOf({ parent, child }: ComparedLink, nowMs: number): Promise<Clocks> {
  const [above, below] = await Promise.all([parent.installation.identity(), child.installation.identity()]);
  return { offsetMs: usableOffset(below.clockOffsetMs - above.clockOffsetMs), nowMs: nowMs + above.clockOffsetMs };
}

function discarded(table: ComparedTable, row: TimedRow, resolution: "parent" | "child"): DiscardedVersion {
  const kind: ConflictKind = row.parent === null ? "delete_update" : row.child === null ? "update_delete" : "update_update";
  return {
    table: table.pair.parent,
    key: row.key,
    kind,
    resolution,
    parentRow: row.parent === null ? null : parseRow(row.parent.row),
    childRow: row.child === null ? null : inParentsTerms(table, row.child),
    parentChangedAt: row.parentChangedAt,
    childChangedAt: row.childChangedAt,
  };
}

/** As its canonical texts where the parent is a Postgres; otherwise, and where a value has none, as the child tells it. */
function inParentsTerms({ pair }: ComparedTable, { row, texts }: FoundRow): Row {
  const isCanonical = texts !== null && pair.child.columns.some(({ like }) => like !== null);
  if (!isCanonical) return parseRow(row);
  return Object.fromEntries(pair.parent.columns.map(({ name }, at) => [name, texts[at] ?? null]));
}
