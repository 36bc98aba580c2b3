import { type NodeName, nodeName, type TableName } from "../change/names.ts";
import { acceptCopy } from "../full-sync/resync.ts";
import { chosenTables } from "../full-sync/sync-plan.ts";
import { edgeHolder, type FullSyncRun, type RunTerms, type SyncDirection } from "../node/full-sync-runs.ts";
import type { Node } from "../node/node.ts";
import type { Topology, TopologyGroup } from "../topology/topology.ts";

const LOOK_EVERY_MS = 500;
const ENDED = new Set(["done", "failed", "cancelled"]);
const OPEN = new Set(["running", "interrupted"]);
/** Records that are looked through for an edge's. */
const MOST_RUNS = 1_000;

/**
 * Notes that an edge is to be filled anew, or to fill its hub, after the two have begun anew where `terms.anew` says so: it learns that with its next exchange.
 * Throws `FULL_SYNC_TABLES` (usage). Answers the run.
 */
export async function askFullSync(
  parent: Node,
  wish: {
    readonly topology: Topology;
    readonly group: TopologyGroup;
    readonly edge: string;
    /** Null for all. */
    readonly tables: readonly TableName[] | null;
    readonly who: string;
    /** `pull` where it is not said. */
    readonly direction?: SyncDirection;
    readonly terms?: RunTerms;
  },
): Promise<bigint> {
  const { topology, group, edge, who, terms = {} } = wish;
  // the edge could not even ask a hub that takes itself for a copy
  if (terms.anew) await acceptCopy(parent);
  const wanted = wish.direction ?? "pull";
  const channels = group.channels
    .filter(({ direction }) => direction !== (wanted === "pull" ? "up" : "down"))
    .map(({ name, direction }) => {
      const tables = topology.channels.find((channel) => channel.name === name)?.tables ?? [];
      return { name, tables: tables.map((table) => table.name), bothWays: direction === "both" };
    });
  const [source, target] = wanted === "pull" ? [parent.name, nodeName(edge)] : [nodeName(edge), parent.name];
  const tables = chosenTables({ groups: [channels], source, target }, wish.tables);
  const side = wanted === "pull" ? "source" : "target";
  const id = await parent.copies.runs.request({ peer: nodeName(edge), side, direction: wanted, tables, terms }, who);
  await parent.audit.record({ who, what: "full sync asked for", details: { node: edge, run: id.toString(), direction: wanted, ...terms } });
  return id;
}

/** Gives up the full syncs of an edge that are wanted, run or wait to be resumed: the tables stay as they are. Answers what that was. */
export async function cancelFullSyncs(parent: Node, edge: NodeName, who: string): Promise<readonly FullSyncRun[]> {
  const holder = edgeHolder(edge);
  const open = (await parent.copies.runs.list(MOST_RUNS)).filter(
    (run) => run.peer === edge && (run.state === "requested" || (OPEN.has(run.state) && run.holder === holder)),
  );
  for (const { id } of open) await cancelFullSync(parent, { id, edge, who });
  return open;
}

/** The same for one of them. */
export async function cancelFullSync(
  parent: Node,
  { id, edge, who }: { readonly id: bigint; readonly edge: NodeName; readonly who: string },
): Promise<void> {
  await parent.copies.runs.cancel(id);
  await parent.audit.record({ who, what: "full sync cancelled", details: { node: edge, run: id.toString() } });
}

/** Waits until the edge is through with it. Aborted, it is given up: what was copied goes, the tables stay as they are. */
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
