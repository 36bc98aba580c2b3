import { TomboloError } from "../change/error.ts";
import type { NodeName, TableName } from "../change/names.ts";
import type { Judge } from "../change/verdict.ts";
import { type FullSyncResult, runSync } from "../full-sync/full-sync.ts";
import type { FullSyncWatcher } from "../full-sync/options.ts";
import { localTarget } from "../full-sync/sync-ends.ts";
import { flowTables } from "../link/flow.ts";
import { type FullSyncRun, isGone, type SyncDirection } from "../node/full-sync-runs.ts";
import type { Node } from "../node/node.ts";
import { type EdgeLinkPlace, fileOf, hubEngine } from "./edge-link-place.ts";
import { ALL_TABLES, reconcileWithHub } from "./edge-reconcile.ts";
import { FarSource, farTables, largeTables } from "./far-source.ts";

/** Of rows of 100 bytes one MB, and compressed a fifth of that: what an interruption costs on a slow line. */
export const CHUNK_ROWS = 10_000;
/** What is staged is worth going on with for as long as the hub keeps its log for it. */
const RESUMED_FOR_MS = 24 * 3_600_000;

export interface EdgeFullSyncOptions {
  /** `push`: the hub takes over what the edge has. */
  readonly direction?: SyncDirection;
  /** Null: all that the hub sends. */
  readonly tables: readonly TableName[] | null;
  /** Go on with what was interrupted. */
  readonly resume: boolean;
  /** A SQLite file is copied first. */
  readonly backUp: boolean;
  /** Compare with the hub afterwards. */
  readonly verify?: boolean;
  readonly watcher: FullSyncWatcher;
  readonly signal: AbortSignal;
  /** As in `RunSyncOptions`. */
  readonly onAbort?: "cancelled" | "interrupted";
  /** Rows of a chunk; for tests. */
  readonly chunkRows?: number;
}

/** The same, by whoever runs it. */
export interface FarSyncOptions extends Omit<EdgeFullSyncOptions, "direction"> {
  readonly verify: boolean;
  readonly chunkRows: number;
  readonly judge: Judge;
  readonly now: () => number;
}

/** Makes an edge's tables what its hub has for it: a full sync whose source is behind HTTP. Throws what `fullSync` throws, and what the hub answers. */
export async function fillFromHub(place: EdgeLinkPlace, { tables: wanted, ...options }: FarSyncOptions): Promise<FullSyncResult> {
  const { node, end, link, topology, client, hubFeatures } = place;
  const { signal, now, chunkRows } = options;
  // makes the two known to each other
  await end.report();
  const images = hubFeatures.includes("images") ? { images: { database: fileOf(place) } } : {};
  const keepsDiffering = hubFeatures.includes("verify");
  const far = { client, end, edge: node.name, hub: link.parent, signal, now, chunkRows, keepsDiffering, ...images };
  const { shapes } = await farTables(far, wanted);
  const tables = shapes.map(({ table }) => table);
  const plan = {
    direction: "pull",
    source: new FarSource(far),
    target: localTarget(node),
    flow: flowTables({ from: "parent", parentEngine: hubEngine(place), link, topology }),
    tables,
    channels: [...new Set(shapes.map(({ channel }) => channel))],
    copied: shapes.map((shape) => ({ shape, rows: null })),
    within: new Map(),
    collected: new Set<TableName>(),
  } as const;
  return runSync(plan, { ...options, compare: (names) => differingFromHub(place, names, { signal, now }) });
}

/** The tables that a full sync at once would fill, where they have no row here, and so many at the hub that it is better than a packet; null otherwise. */
export async function toBeFilled(place: EdgeLinkPlace, signal: AbortSignal): Promise<readonly TableName[] | null> {
  const { node, link, topology, client, hubFeatures } = place;
  const { filler } = node.copies;
  if (!hubFeatures.includes("images") || filler === undefined) return null;
  const flow = flowTables({ from: "parent", parentEngine: hubEngine(place), link, topology });
  const all = flow.groups.flatMap((channels) => channels.flatMap(({ tables }) => tables));
  if (all.length === 0 || !(await filler.areEmpty(all))) return null;
  return largeTables({ client, edge: node.name, signal });
}

/** How many rows of the tables differ from the hub's; what is under way between the two is no difference. */
export async function differingFromHub(
  place: EdgeLinkPlace,
  tables: readonly TableName[],
  given: { readonly signal: AbortSignal; readonly now: () => number },
): Promise<number> {
  const asked = { ...ALL_TABLES, tables, name: "full-sync", repair: "report", carry: async () => {} } as const;
  const report = await reconcileWithHub(place, { ...asked, ...given });
  return report.tables.reduce((sum, { differing }) => sum + differing, 0);
}

/** A full sync of this edge that something interrupted; null where there is none to go on with. */
export async function interruptedFullSync(
  node: Node,
  hub: NodeName,
  nowMs: number,
): Promise<Pick<FullSyncRun, "tables" | "direction" | "terms"> | null> {
  try {
    const [last] = (await node.copies.runs.list(20)).filter(({ peer }) => peer === hub);
    if (last === undefined || nowMs - Date.parse(last.startedAt) > RESUMED_FOR_MS) return null;
    const open = last.state === "interrupted" || (last.state === "running" && isGone(last.holder, 0));
    return open ? last : null;
  } catch (error) {
    // nothing of ours is in the database yet
    if (error instanceof TomboloError && error.code !== "INTERNAL" && error.kind !== "connect") return null;
    throw error;
  }
}
