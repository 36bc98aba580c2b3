import { createHash } from "node:crypto";
import { nodeOf } from "../lifecycle/tree.ts";
import type { ShownConflict } from "../node/conflict-desk.ts";
import { conflictUnknown } from "../node/conflict-errors.ts";
import type { Node } from "../node/node.ts";
import type { ShownConflictReport } from "../operations/conflict-report.ts";
import type { HubContext } from "./context.ts";

/** The conflict of a path, with its row. Throws `NODE_UNKNOWN` and `CONFLICT_UNKNOWN` (usage). */
export async function findConflict(
  hub: HubContext,
  { node: name, id }: { readonly node: string; readonly id: bigint },
): Promise<{ node: Node; shown: ShownConflict }> {
  const node = await hub.node(nodeOf(hub.topology(), name).name);
  const shown = await node.conflicts.show(id);
  if (shown === null) throw conflictUnknown(name, id);
  return { node, shown };
}

/** Another one whenever the decision or the row is another. */
export const etagOf = (report: ShownConflictReport): string =>
  `"${createHash("sha256").update(JSON.stringify(report)).digest("base64url").slice(0, 32)}"`;
