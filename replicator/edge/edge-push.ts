import type { TableName } from "../change/names.ts";
import { type FullSyncResult, runSync } from "../full-sync/full-sync.ts";
import { localSource, type SyncSource } from "../full-sync/sync-ends.ts";
import { chosenTables, type SyncPlan } from "../full-sync/sync-plan.ts";
import { flowTables } from "../link/flow.ts";
import type { CopySnapshot } from "../node/full-copy.ts";
import { ANY_DIGEST } from "../node/sent-packets.ts";
import { differingFromHub, type FarSyncOptions } from "./edge-full-sync.ts";
import { type EdgeLinkPlace, hubEngine } from "./edge-link-place.ts";
import { FarTarget, tooLong } from "./far-target.ts";

/** How long one snapshot of the edge's is read, however slow the line: what it holds on to grows meanwhile. */
const SNAPSHOT_MS = 60_000;

/**
 * Makes the hub take over what an edge has: a full sync whose target is behind HTTP. The hub decides what of it is the edge's to bring. Throws what `fullSync` throws, and
 * what the hub answers.
 */
export async function pushToHub(place: EdgeLinkPlace, { tables: wanted, ...options }: FarSyncOptions): Promise<FullSyncResult> {
  const { node, end, link, topology, client, hubFeatures } = place;
  const { signal, now } = options;
  const hub = link.parent;
  // makes the two known to each other
  await end.report();
  const flow = flowTables({ from: "child", parentEngine: hubEngine(place), link, topology });
  const tables = chosenTables({ groups: flow.groups, source: node.name, target: hub }, wanted);
  const shapes = await node.log.shapes(tables);
  const { openNear: _, ...here } = localSource(node, { target: hub, scopes: null, tables });
  const plan: SyncPlan = {
    direction: "push",
    source: {
      ...here,
      open: async (...args) => shortLived(await here.open(...args), now),
      announce: (number) => node.sent.note(hub, { number, digest: ANY_DIGEST }),
    } satisfies SyncSource,
    target: new FarTarget({
      ...{ client, end, edge: node.name, hub, codec: topology.batch.compression, signal },
      keepsDiffering: hubFeatures.includes("verify"),
    }),
    ...{ flow, tables },
    channels: [...new Set(shapes.map(({ channel }) => channel))],
    copied: shapes.map((shape) => ({ shape, rows: null })),
    // both are the hub's to know
    within: new Map(),
    collected: new Set(),
  };
  const compare = (names: readonly TableName[]): Promise<number> => differingFromHub(place, names, { signal, now });
  return runSync(plan, { ...options, backUp: false, compare });
}

/** A snapshot that is given up for a later one after a while; at least one chunk is read of each. */
function shortLived(snapshot: CopySnapshot, now: () => number): CopySnapshot {
  const until = now() + SNAPSHOT_MS;
  let read = 0;
  return {
    tick: snapshot.tick,
    estimate: (table) => snapshot.estimate(table),
    changed: (...args) => snapshot.changed(...args),
    chunk: (...args) => {
      if (read++ > 0 && now() > until) throw tooLong();
      return snapshot.chunk(...args);
    },
    close: () => snapshot.close(),
  };
}
