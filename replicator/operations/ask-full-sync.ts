import { nodeName, type TableName } from "../change/names.ts";
import { chosenTables } from "../full-sync/sync-plan.ts";
import type { FullSyncRun } from "../node/full-sync-runs.ts";
import type { Node } from "../node/node.ts";
import type { Topology, TopologyGroup } from "../topology/topology.ts";

const LOOK_EVERY_MS = 500;
const ENDED = new Set(["done", "failed", "cancelled"]);

/** Notes that an edge is to be filled anew: it learns that with its next exchange. Throws `FULL_SYNC_TABLES` (usage). Answers the run. */
export async function askFullSync(
  parent: Node,
  wish: {
    readonly topology: Topology;
    readonly group: TopologyGroup;
    readonly edge: string;
    /** Null for all. */
    readonly tables: readonly TableName[] | null;
    readonly who: string;
  },
): Promise<bigint> {
  const { topology, group, edge, who } = wish;
  const channels = group.channels
    .filter(({ direction }) => direction !== "up")
    .map(({ name, direction }) => {
      const tables = topology.channels.find((channel) => channel.name === name)?.tables ?? [];
      return { name, tables: tables.map((table) => table.name), bothWays: direction === "both" };
    });
  const tables = chosenTables({ groups: [channels], source: parent.name, target: nodeName(edge) }, wish.tables);
  const id = await parent.copies.runs.request({ peer: nodeName(edge), side: "source", direction: "pull", tables }, who);
  await parent.audit.record({ who, what: "full sync asked for", details: { node: edge, run: id.toString() } });
  return id;
}

/** Waits until the edge is through with it. Aborted, it is given up: what the edge has copied goes, its tables stay as they are. */
export async function followFullSync(
  parent: Node,
  id: bigint,
  options: {
    readonly signal: AbortSignal;
    readonly sleep: (ms: number, signal: AbortSignal) => Promise<unknown>;
    readonly onProgress: (run: FullSyncRun) => void;
  },
): Promise<FullSyncRun | null> {
  const { signal, sleep, onProgress } = options;
  for (;;) {
    const run = await parent.copies.runs.find(id);
    if (run === null || ENDED.has(run.state)) return run;
    onProgress(run);
    await sleep(LOOK_EVERY_MS, signal);
    if (signal.aborted) await parent.copies.runs.cancel(id);
  }
}
