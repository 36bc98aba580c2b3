import type { SyncDirection } from "./full-sync-runs.ts";

/** How the conflict history tells of a row that a full sync replaced or deleted. */
export interface Replaced {
  readonly kind: string;
  readonly policy: string;
  readonly resolution: "parent" | "child";
  readonly reason: string;
  /** Which of the two is whose. */
  readonly parentRow: "here" | "staged" | "none";
  readonly childRow: "here" | "staged" | "none";
}

const REASON = {
  pull: "a full sync made the child a copy of its parent",
  push: "a full sync made the parent take over what its child has",
} as const;

export function replaced(direction: SyncDirection, what: "changed" | "gone"): Replaced {
  const staged = what === "changed" ? "staged" : "none";
  const reason = REASON[direction];
  if (direction === "pull") {
    const kind = what === "changed" ? "insert_insert" : "delete_update";
    return { kind, policy: "parent_wins", resolution: "parent", reason, parentRow: staged, childRow: "here" };
  }
  const kind = what === "changed" ? "insert_insert" : "update_delete";
  return { kind, policy: "child_wins", resolution: "child", reason, parentRow: "here", childRow: staged };
}
