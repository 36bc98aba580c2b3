import { TomboloError } from "../change/error.ts";
import type { NodeName } from "../change/names.ts";
import type { LeaseHolder } from "../lifecycle/lease.ts";
import type { Parts } from "../lifecycle/parts.ts";
import type { Timers } from "../lifecycle/timers.ts";
import { hubOf, linkName } from "../lifecycle/tree.ts";
import type { LinkCounts } from "../link/link.ts";
import type { Node } from "../node/node.ts";
import type { Logger } from "../observability/log.ts";
import { collectStatus, type DirectionReport, type LinkReport } from "../observability/status-report.ts";
import type { Topology, TopologyLink } from "../topology/topology.ts";
import { noticesOnly } from "./parked-retry.ts";

export interface LinkSync extends LinkCounts {
  /** Of the conflicts, those that wait for a person. */
  readonly open: number;
  /** Who replicates the topology, and so carried what was pending; null where that was done here. */
  readonly replicator: string | null;
  /** Changes of before that had not arrived when the patience was at its end. */
  readonly pending: number;
}

export interface SyncWorld {
  readonly topology: Topology;
  readonly reach: (name: NodeName) => Promise<Node>;
  readonly parts: Pick<Parts, "createLink" | "leaseStore">;
  readonly log: Logger;
  readonly timers: Pick<Timers, "now" | "sleep">;
}

/** For as long a replicator is waited for. */
const PATIENCE_MS = 30_000;
const LOOK_EVERY_MS = 250;
/** More conflicts of one sync are not counted. */
const MOST_CONFLICTS = 10_000;

/**
 * Brings over what is pending on a link, in both directions: here, as `tombolo sync` does, where nobody replicates the topology; else it waits until whoever does has
 * brought it, and tells what was pending and what conflicts there were. Throws `LINK_PAUSED` (operator), and whatever the link or the databases throw.
 */
export async function syncLink(world: SyncWorld, link: TopologyLink, signal: AbortSignal): Promise<LinkSync> {
  const { topology, reach, parts } = world;
  const { parent, child } = link;
  // an end that cannot be reached is said as such, before anything is asked of the hub
  const ends = [await reach(parent), await reach(child)] as const;
  const before = await look(world, link);
  if (before.state === "paused") throw paused(child);
  const store = await parts.leaseStore(hubOf(topology), topology.name);
  const lease = await store.take("sync");
  if (!lease.held) return follow(world, { link, lease, before, signal });
  try {
    let open = 0;
    const observer = {
      ...noticesOnly(world.log),
      applied: ({
        receipt,
      }: {
        readonly receipt: { readonly conflicts: readonly { readonly resolution: string; readonly count: number }[] };
      }) => {
        for (const { resolution, count } of receipt.conflicts) if (resolution === "open") open += count;
      },
    };
    const made = await parts.createLink({ parent: ends[0], child: ends[1], link, topology, observer });
    const counts = await made.sync(signal);
    return { ...counts, open, replicator: null, pending: 0 };
  } finally {
    await lease.release();
  }
}

interface Followed {
  readonly link: TopologyLink;
  readonly lease: LeaseHolder;
  readonly before: LinkReport;
  readonly signal: AbortSignal;
}

async function follow(world: SyncWorld, { link, lease, before, signal }: Followed): Promise<LinkSync> {
  const { timers } = world;
  const desk = (await world.reach(link.parent)).conflicts;
  const [newest] = await desk.list({ childNode: link.child, limit: 1 });
  const begun = timers.now();
  let now = before;
  while (waits(now.up, timers.now() - begun) + waits(now.down, timers.now() - begun) > 0) {
    if (signal.aborted || timers.now() - begun > PATIENCE_MS) break;
    await timers.sleep(LOOK_EVERY_MS, signal);
    now = await look(world, link);
    if (now.state === "paused") throw paused(link.child);
  }
  const since = (await desk.list({ childNode: link.child, limit: MOST_CONFLICTS })).filter(({ id }) => id > (newest?.id ?? 0n));
  const passed = timers.now() - begun;
  return {
    sent: before.up.pending_changes ?? 0,
    received: before.down.pending_changes ?? 0,
    conflicts: since.length,
    open: since.filter(({ status }) => status === "open").length,
    parked: Math.max(0, (now.parked_changes ?? 0) - (before.parked_changes ?? 0)),
    replicator: lease.holder,
    pending: waits(now.up, passed) + waits(now.down, passed),
  };
}

/** How many changes from before `passedMs` ago have not arrived; what was written since is another matter. At least one while the two have not begun. */
function waits({ pending_changes: pending, lag_seconds: lag }: DirectionReport, passedMs: number): number {
  if (pending === null) return 1;
  if (pending === 0) return 0;
  return lag !== null && lag * 1000 < passedMs ? 0 : pending;
}

/** The link's part of what `tombolo status` tells. */
async function look({ topology, reach, timers }: SyncWorld, link: TopologyLink): Promise<LinkReport> {
  const nodes = topology.nodes.filter(({ name }) => name === link.parent || name === link.child);
  const reached = new Map(await Promise.all(nodes.map(async ({ name }) => [name, { node: await reach(name) }] as const)));
  const { links } = await collectStatus({ ...topology, nodes, links: [link], groups: [] }, reached, timers.now);
  const [found] = links;
  if (found !== undefined) return found;
  throw new TomboloError(`the status does not tell of ${linkName(link)}`, { code: "INTERNAL", kind: "fatal" });
}

const paused = (child: NodeName): TomboloError =>
  new TomboloError(`${child} is paused: nothing is exchanged with it`, { code: "LINK_PAUSED", kind: "operator", hint: "Resume it first." });
