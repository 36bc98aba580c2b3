import { TomboloError } from "../change/error.ts";
import type { NodeName } from "../change/names.ts";
import type { Node } from "../node/node.ts";

/** Throws `RECONCILE_CANCELLED` (operator) where the edge's comparison, or the wish for it, was given up. */
export async function mustBeWanted(node: Pick<Node, "reconciles">, edge: NodeName, id: bigint): Promise<void> {
  const run = await node.reconciles.find(id);
  if (run?.peer !== edge || run.state !== "cancelled") return;
  throw new TomboloError(`the comparison of ${edge} was cancelled at the hub`, {
    code: "RECONCILE_CANCELLED",
    kind: "operator",
    hint: "What was repaired before stays so; begin it again where that was not meant.",
  });
}
