import { TomboloError } from "../change/error.ts";
import type { NodeName } from "../change/names.ts";
import { edgeHolder, type FullSyncRun, runLost } from "../node/full-sync-runs.ts";
import type { Node } from "../node/node.ts";

/**
 * A full sync that an edge runs, as its hub knows it. Throws `FULL_SYNC_CANCELLED` (operator), and `FULL_SYNC_LOST` (operator) where it is not this edge's, or not any more.
 */
export async function edgeRun(node: Node, edge: NodeName, id: bigint, side: FullSyncRun["side"] | null = null): Promise<FullSyncRun> {
  const run = await node.copies.runs.find(id);
  if (run?.peer === edge && run.state === "cancelled") throw cancelled(edge);
  // one of another edge is one that there is not
  if (run?.peer !== edge || (side !== null && run.side !== side) || run.state !== "running" || run.holder !== edgeHolder(edge))
    throw runLost();
  return run;
}

const cancelled = (edge: NodeName): TomboloError =>
  new TomboloError(`the full sync of ${edge} was cancelled at the hub, or another was begun in its place`, {
    code: "FULL_SYNC_CANCELLED",
    kind: "operator",
    hint: "Nothing was changed; begin it again where that was not meant.",
  });
