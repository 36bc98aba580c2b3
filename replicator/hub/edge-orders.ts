import type { FastifyReply, FastifyRequest } from "fastify";
import { TomboloError } from "../change/error.ts";
import { type NodeName, nodeName, type TableName } from "../change/names.ts";
import type { FullSyncRun, SyncDirection } from "../node/full-sync-runs.ts";
import type { Node } from "../node/node.ts";
import type { ReconcileRun } from "../node/reconcile-desk.ts";
import { askFullSync, followFullSync } from "../operations/ask-full-sync.ts";
import { followReconcile } from "../operations/ask-reconcile.ts";
import { groupOfEdge } from "../operations/edge-group.ts";
import type { Topology, TopologyGroup } from "../topology/topology.ts";
import type { HubContext } from "./context.ts";
import { streamRun } from "./run-stream.ts";

/** An edge that an operator wants something of: it does that itself, when it next comes. */
export interface OrderedEdge {
  readonly edge: NodeName;
  readonly parent: Node;
  readonly group: TopologyGroup;
  /** PARENT/EDGE. */
  readonly link: string;
}

/** The edge of a link's name; undefined where it is not that of an enrolled edge. */
export async function edgeOfLink(hub: HubContext, topology: Topology, link: string): Promise<OrderedEdge | undefined> {
  const [above = "", edge = "", more] = link.split("/");
  if (edge === "" || more !== undefined || topology.nodes.some(({ name }) => name === edge)) return undefined;
  const group = await groupOfEdge({ topology, tokens: hub.tokens }, edge);
  if (group === undefined || group.parent !== above) return undefined;
  return { edge: nodeName(edge), parent: await hub.node(group.parent), group, link };
}

interface Answered {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

export interface FullSyncOrder {
  readonly direction: SyncDirection;
  /** Null for all. */
  readonly tables: readonly TableName[] | null;
  readonly mayReplace: boolean;
  /** Of what an edge cannot be told to do: names of options of the request. */
  readonly unsuited: readonly string[];
  readonly maxDeletes: number | null;
  /** Both sides are compared afterwards. */
  readonly verify: boolean;
  /** The two begin anew before. */
  readonly anew: boolean;
  readonly wait: boolean;
  readonly who: string;
}

/** Throws `RUN_OPTION` and `FULL_SYNC_TABLES` (usage) before it answers. */
export async function orderFullSync(hub: HubContext, to: OrderedEdge, order: FullSyncOrder, answered: Answered): Promise<void> {
  const { edge, parent, group, link } = to;
  const { direction, tables, maxDeletes, verify, anew, who } = order;
  mustSuit(order.unsuited, edge);
  if (!order.mayReplace)
    throw runOption(`${edge} does not ask back before rows are replaced`, "Send `replace_rows: true` where that is meant.");
  if (maxDeletes !== null && direction === "pull") throw runOption("max_deletes is of a push", "Leave it out.");
  const terms = { ...(maxDeletes !== null && { mayRemove: maxDeletes }), ...(verify && { verify }), ...(anew && { anew }) };
  const id = await askFullSync(parent, { topology: hub.topology(), group, edge, tables, direction, terms, who });
  await streamRun(hub, answered, async ({ signal, progress }) => {
    if (!order.wait) return runJson(link, await parent.copies.runs.find(id));
    const told = await followFullSync(parent, id, {
      signal,
      sleep: hub.timers.sleep,
      onProgress: ({ state, phase, rows, bytes, estimatedRows }) =>
        progress({ state, phase, rows, bytes, estimated_rows: estimatedRows, rate: null, seconds_left: null }),
    });
    return runJson(link, told);
  });
}

export interface ReconcileOrder {
  readonly repair: string;
  readonly scope: ReconcileRun["scope"];
  readonly unsuited: readonly string[];
  readonly wait: boolean;
  readonly who: string;
}

/** Asks; answers what waits for what comes of it, as the same JSON that a link of two databases has. Throws `RUN_OPTION` (usage). */
export async function orderReconcile(
  hub: HubContext,
  { edge, parent, link }: OrderedEdge,
  { repair, scope, unsuited, wait, who }: ReconcileOrder,
): Promise<(signal: AbortSignal) => Promise<object>> {
  mustSuit(unsuited, edge);
  const id = await parent.reconciles.request({ name: "manual", peer: edge, repair, scope });
  await parent.audit.record({ who, what: "reconcile asked for", details: { node: edge, repair, scope } });
  return async (signal) => {
    const run = wait ? await followReconcile(parent, { id, name: "manual", edge }, { signal, sleep: hub.timers.sleep }) : null;
    const tables = (run?.tables ?? []).map(({ unsettled, examples, ...table }) => ({
      ...table,
      under_way: unsettled,
      examples: examples.map((key) => ({ key: JSON.parse(key) as unknown })),
    }));
    return { parent: link.split("/")[0], child: edge, outcome: run?.state ?? "requested", tables, error: run?.error ?? null };
  };
}

function mustSuit([option]: readonly string[], edge: NodeName): void {
  if (option === undefined) return;
  throw runOption(`${edge} is out of reach: it does not take ${option}`, "Leave it out, or run it at the edge.");
}

export const runOption = (message: string, hint: string): TomboloError =>
  new TomboloError(message, { code: "RUN_OPTION", kind: "usage", hint });

const runJson = (link: string, run: FullSyncRun | null): object => ({
  link,
  run: run?.id.toString() ?? null,
  state: run?.state ?? null,
  direction: run?.direction ?? null,
  tables: run?.tables ?? [],
  rows: run?.rows ?? 0,
  bytes: run?.bytes ?? 0,
  // as of one that is run from here
  differences: run?.differing ?? null,
  error: run?.error ?? null,
});
