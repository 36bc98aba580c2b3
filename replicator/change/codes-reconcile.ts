import type { CodeRow } from "./code-row.ts";

/** Comparing two nodes, and repairing what differs. */
export const RECONCILE_CODES: readonly CodeRow[] = [
  ["DRIFT_FOUND", "notice", "A scheduled reconcile found rows that differ.", "See docs/reconcile.md; `tombolo reconcile --repair parent`."],
  ["DRIFT_REPAIRED", "notice", "A scheduled reconcile found rows that differed, and made them equal.", "Look for what wrote past capture."],
  [
    "RANGE_UNORDERED",
    "usage",
    "A table whose keys sort differently on both nodes has no ranges.",
    "Leave out `--range`, or give `--sample`.",
  ],
  [
    "RECONCILE_CANCELLED",
    "operator",
    "A comparison of an edge was cancelled at its hub.",
    "What was repaired before stays so; begin it again where that was not meant.",
  ],
  ["RECONCILE_UNKNOWN", "usage", "A node has no such comparison in its records.", "See GET /v1/reconcile-runs."],
  ["RUN_INTERRUPTED", "notice", "A run was stopped before its end.", "Run it again."],
  [
    "RECONCILE_DELETES",
    "operator",
    "A repair would delete more rows at a child than it may without asking; the table was not repaired.",
    "Look at the rows; then give `--yes`, or `--max-deletes`.",
  ],
  [
    "SHAPES_DIFFER",
    "operator",
    "A table cannot be compared, because its columns or its key are not the same on both nodes.",
    "Alter one of the two, or use `exclude`; then run `tombolo apply`.",
  ],
  [
    "TABLE_NOT_FILLED",
    "retry",
    "A table cannot be compared yet: the child has not been given it, or is about to be given other rows of it.",
    "Let `tombolo run` or `tombolo sync` bring it over first.",
  ],
];
