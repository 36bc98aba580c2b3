import type { NodeName } from "../change/names.ts";
import type { Node } from "../node/node.ts";
import type { ReconcileRun } from "../node/reconcile-desk.ts";
import type { Topology } from "../topology/topology.ts";
import { isParent } from "./conflict-pages.ts";

/** A comparison and the parent that keeps the record of it. */
export interface KeptRun {
  readonly node: NodeName;
  readonly run: ReconcileRun;
}

export interface KeptRuns {
  /** Newest first. */
  readonly runs: readonly KeptRun[];
  readonly failed: readonly { readonly node: NodeName; readonly error: unknown }[];
}

/** Records are kept at parents. */
export const comparingNodes = (topology: Topology): readonly NodeName[] =>
  topology.nodes.map(({ name }) => name).filter((name) => isParent(topology, name));

/** The records of several parents as one list. @param reach throws for a node that is away. */
export async function keptRuns(
  asked: readonly NodeName[],
  reach: (name: NodeName) => Promise<Node>,
  filter: { readonly name?: string; readonly limit: number },
): Promise<KeptRuns> {
  const failed: { node: NodeName; error: unknown }[] = [];
  const answers = await Promise.all(
    asked.map(async (node): Promise<readonly KeptRun[]> => {
      try {
        return (await (await reach(node)).reconciles.runs(filter)).map((run) => ({ node, run }));
      } catch (error) {
        failed.push({ node, error });
        return [];
      }
    }),
  );
  const newest = answers.flat().sort((a, b) => Date.parse(b.run.startedAt) - Date.parse(a.run.startedAt));
  return { runs: newest.slice(0, filter.limit), failed };
}
