import { createHash } from "node:crypto";
import type { Position, TableName } from "../change/names.ts";
import type { CompareHold, NoHold } from "../node/compare-holds.ts";
import type { KeyText } from "../node/digest.ts";
import type { WholeReason } from "../node/reconcile-desk.ts";
import { type ChangedKeys, changedKeys } from "./changed-keys.ts";
import type { ComparedLink } from "./compared-link.ts";
import type { ComparedTable } from "./compared-tables.ts";
import type { TableComparison } from "./comparison.ts";

/** The parent's part of `changedKeys`, of tables that go on from the same position; behind HTTP, the hub's answer. */
export type ChangedAbove = (tables: readonly ComparedTable[], after: Position) => Promise<readonly ChangedKeys[]>;

/** What both nodes hold of their logs for one comparison. */
export interface Held {
  readonly run: string;
  readonly parent: ReadonlyMap<TableName, CompareHold | NoHold>;
  readonly child: ReadonlyMap<TableName, CompareHold | NoHold>;
  /** How each table is compared now: see `CompareHolds.compared`. */
  readonly as: ReadonlyMap<ComparedTable, string>;
}

/** Which rows are compared, and of which tables all of them, and why. */
export interface ChangedScope {
  readonly changed: ReadonlyMap<ComparedTable, ReadonlySet<KeyText>>;
  readonly whole: ReadonlyMap<ComparedTable, WholeReason>;
}

/** Rows of a table that the next comparison looks at, whether they change or not. */
const MOST_LEFT = 1_000;

/** To be called before anything is compared. */
export async function holdLogs({ parent, child }: ComparedLink, tables: readonly ComparedTable[], run: string): Promise<Held> {
  const named = tables.map(({ name: table, channel }) => ({ table, channel }));
  const [above, below, ofParent, ofChild] = await Promise.all([
    parent.compareHolds.begin(child.name, run, named),
    child.compareHolds.begin(parent.name, run, named),
    parent.installation.identity(),
    child.installation.identity(),
  ]);
  const epochs = [ofParent.epoch, ofChild.epoch];
  return { run, parent: above, child: below, as: new Map(tables.map((table) => [table, comparedAs(table, epochs)])) };
}

/** The rows that either log has news of since the tables were last compared, and those that were left different or undecided then. */
export async function changedScope(
  ends: ComparedLink,
  { tables, held, above }: { readonly tables: readonly ComparedTable[]; readonly held: Held | null; readonly above: ChangedAbove },
): Promise<ChangedScope> {
  const whole = new Map<ComparedTable, WholeReason>();
  const changed = new Map<ComparedTable, Set<KeyText>>();
  const places = new Map<ComparedTable, { readonly parent: Position; readonly child: Position }>();
  for (const table of tables) {
    const from = fromWhere(table, held);
    if (typeof from === "string") {
      whole.set(table, from);
      continue;
    }
    places.set(table, { parent: from.parent.position, child: from.child.position });
    changed.set(table, new Set([...from.parent.left, ...from.child.left]));
  }
  const below = (some: readonly ComparedTable[], after: Position): ReturnType<ChangedAbove> =>
    changedKeys(ends.child, {
      reader: ends.parent.name,
      after,
      tables: some.map(({ name, keyOf }) => ({ name, filter: null, keyOf: keyOf.child })),
    });
  for (const side of ["parent", "child"] as const) {
    for (const [after, some] of byPosition(places, side)) {
      const found = side === "parent" ? await above(some, after) : await below(some, after);
      for (const [at, table] of some.entries()) {
        const keys = found[at] ?? "log_not_kept";
        if (typeof keys === "string") whole.set(table, keys);
        else for (const key of keys) changed.get(table)?.add(key);
      }
    }
  }
  for (const table of whole.keys()) changed.delete(table);
  return { changed, whole };
}

function byPosition(
  places: ReadonlyMap<ComparedTable, { readonly parent: Position; readonly child: Position }>,
  side: "parent" | "child",
): ReadonlyMap<Position, readonly ComparedTable[]> {
  const groups = new Map<Position, ComparedTable[]>();
  for (const [table, place] of places) groups.set(place[side], [...(groups.get(place[side]) ?? []), table]);
  return groups;
}

function fromWhere(table: ComparedTable, held: Held | null): { readonly parent: CompareHold; readonly child: CompareHold } | WholeReason {
  const [parent, child] = [held?.parent.get(table.name) ?? "first", held?.child.get(table.name) ?? "first"];
  if (typeof parent === "string") return parent;
  if (typeof child === "string") return child;
  const as = held?.as.get(table);
  return parent.as === as && child.as === as ? { parent, child } : "altered";
}

/** The next comparison of what has changed goes on from here, for tables that were compared to their end. */
export async function keepLogs(
  { parent, child }: ComparedLink,
  { comparisons, held, forMs }: { readonly comparisons: readonly TableComparison[]; readonly held: Held; readonly forMs: number },
): Promise<void> {
  const compared = comparisons.flatMap(({ table, isPartial, differences, undecided }) => {
    const left = [...differences.map(({ key }) => key), ...undecided];
    return isPartial || left.length > MOST_LEFT ? [] : [{ table: table.name, left, as: held.as.get(table) ?? "" }];
  });
  await parent.compareHolds.compared(child.name, held.run, compared, forMs);
  const atChild = compared.map((table) => ({ ...table, left: [] }));
  await child.compareHolds.compared(parent.name, held.run, atChild, forMs);
}

/** Of another shape, another choice of rows, or a database that was restored, nobody knows what was compared. */
function comparedAs({ pair, direction, filter, rowScope }: ComparedTable, epochs: readonly unknown[]): string {
  const columns = [pair.parent, pair.child].map(({ columns: each, key, order }) => ({ columns: each, key, order }));
  return createHash("sha256")
    .update(JSON.stringify([columns, direction, filter, rowScope === null ? null : String(rowScope), epochs]))
    .digest("hex");
}
