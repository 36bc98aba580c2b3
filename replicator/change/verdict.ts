import type { NodeName, TableName } from "./names.ts";
import { type Row, sameValue } from "./value.ts";

/** Policies that need to look at nothing but the two rows, their times and their names. `manual` leaves it to a person. */
export type SimplePolicy = "parent_wins" | "child_wins" | "newest_wins" | "manual";
/** How a table's conflicts are decided: simply, column by column (`merge`), or by a user's ES module (`module`). */
export type Policy = SimplePolicy | "merge" | "module";
/** Whether edits of different columns of one row are a conflict (`row`) or not (`column`). */
export type Detection = "column" | "row";
/** How `merge` brings both sides' edits of one column together. */
export type MergeKind = "text" | "json" | "set" | "counter" | "max" | "min";
/** Named parent first: `update_delete` is "the parent updated, the child deleted". `filter`: a child wrote outside of the rows that it is given. */
export const CONFLICT_KINDS = [
  "update_update",
  "update_delete",
  "delete_update",
  "insert_insert",
  "unique",
  "foreign_key",
  "check",
  "filter",
] as const;
export type ConflictKind = (typeof CONFLICT_KINDS)[number];
/** Whose row it became. `open`: nobody has decided yet, the parent's stays meanwhile; `base` and `values` are decisions of a person. */
export type Resolution = "parent" | "child" | "merged" | "base" | "values" | "open";

/** What the topology says about deciding conflicts of one table. Column names are the table's. */
export interface ConflictRule {
  readonly policy: Policy;
  readonly detect: Detection;
  /** Columns that belong together: an edit of one of them is an edit of all. */
  readonly groups: readonly (readonly string[])[];
  /** For `merge`: how each column is merged. */
  readonly mergeColumns: { readonly [column: string]: MergeKind };
  /** For `merge` and `module`: what decides where they cannot. */
  readonly otherwise: SimplePolicy;
  /** For `module`: the absolute path of the ES module. */
  readonly module: string | null;
}

/** What a table gets about which the topology says nothing. */
export const PLAIN_RULE: ConflictRule = {
  policy: "parent_wins",
  detect: "column",
  groups: [],
  mergeColumns: {},
  otherwise: "parent_wins",
  module: null,
};

/** Only the rule of something that has more. */
export const conflictRule = ({ policy, detect, groups, mergeColumns, otherwise, module }: ConflictRule): ConflictRule => ({
  policy,
  detect,
  groups,
  mergeColumns,
  otherwise,
  module,
});

/** A child's change that does not simply fit the parent's row, with all that is known about it. Values are in the parent's terms. */
export interface Clash extends ConflictRule {
  readonly table: TableName;
  /** The names of the key's columns. */
  readonly key: readonly string[];
  readonly op: "I" | "U" | "D";
  /** The row as the child knew it before its change; null when it had none. Holds at least what the change carried. */
  readonly base: Row | null;
  /** The row as the child has it now; null after a delete. Whole where `wholeChild`. */
  readonly child: Row | null;
  /** False where columns that the child did not touch could not be reconstructed from the parent's log. */
  readonly wholeChild: boolean;
  /** The parent's row now, locked; null when there is none. */
  readonly parent: Row | null;
  /** The columns that the child changed (all of them for an insert or a delete). */
  readonly changed: readonly string[];
  /** When the parent last changed what the child changed, microseconds since 1970; null when its log no longer tells. */
  readonly parentChangedAt: number | null;
  /** When the child made its change, corrected to the parent's clock; null when the clocks are too far apart to compare. */
  readonly childChangedAt: number | null;
  readonly parentNode: NodeName;
  readonly childNode: NodeName;
}

export interface Verdict {
  /** What the parent's row is to be; null when there is to be none. Columns that are missing stay as they are. */
  readonly result: Row | null;
  /** What goes into the conflict history; null when the two sides turned out not to conflict. */
  readonly conflict: Conflict | null;
  /** True when the result is not what the child has, so that the child must be sent the row. */
  readonly refresh: boolean;
  /** What is done instead where the database refuses a `result` that is made of both sides' edits. */
  readonly ifRefused?: {
    /** `check`: by a check or a NOT NULL, which the two rows kept each by itself; `any`: by whatever constraint. */
    readonly by: "check" | "any";
    readonly verdict: Verdict;
  };
}

/** A conflict as it was decided, or left open (`resolution: "open"`). */
export interface Conflict {
  readonly kind: ConflictKind;
  readonly resolution: Resolution;
  /** One sentence for a person: names and times, never values. */
  readonly reason: string;
  /** The columns that both sides claim; missing where it is the row as a whole. */
  readonly columns?: readonly string[];
}

/** Pure: the same clash gets the same verdict, on every node and every run. */
export type Judge = (clash: Clash) => Verdict;

/**
 * Which columns of the parent's a child's change competes with: those that it changed, with their groups; all where the row is one thing, or
 * comes or goes as a whole. Names of groups are matched as SQLite does.
 */
export function claimed({ detect, groups }: ConflictRule, op: Clash["op"], changed: readonly string[]): (column: string) => boolean {
  if (op !== "U" || detect === "row") return () => true;
  const own = new Set(changed.map((name) => name.toLowerCase()));
  for (const group of groups) {
    const names = group.map((name) => name.toLowerCase());
    if (names.some((name) => own.has(name))) for (const name of names) own.add(name);
  }
  return (column) => own.has(column.toLowerCase());
}

/** When the row became what the verdict made of it, microseconds since 1970; null where that is not known. */
export function changeTime({ parent, parentChangedAt, childChangedAt }: Clash, { result }: Verdict): number | null {
  const stayed =
    parent === null || result === null
      ? parent === result
      : Object.keys(result).every((column) => sameValue(result[column], parent[column]));
  if (stayed) return parentChangedAt;
  return childChangedAt === null ? null : Math.max(childChangedAt, parentChangedAt ?? childChangedAt);
}
