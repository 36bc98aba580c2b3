import type { NodeName } from "../change/names.ts";
import type { Parts } from "../lifecycle/parts.ts";
import { leavesFirst, linkName } from "../lifecycle/tree.ts";
import type { Link, LinkCounts, LinkObserver } from "../link/link.ts";
import type { Reached } from "../observability/status-report.ts";
import type { Topology, TopologyLink } from "../topology/topology.ts";
import { reachedNode } from "./nodes-of.ts";

export interface SyncOptions {
  readonly topology: Topology;
  readonly links: readonly TopologyLink[];
  readonly nodes: ReadonlyMap<NodeName, Reached>;
  readonly parts: Pick<Parts, "createLink">;
  readonly observer: LinkObserver;
  readonly signal: AbortSignal;
}

export interface LinkResult {
  readonly link: TopologyLink;
  readonly counts: LinkCounts;
  /** Why the link stopped; undefined when it went through. */
  readonly error: unknown;
}

/** A pass up and one down carry everything through the tree; verdicts and what follows from them take some more. */
const MAX_PASSES = 10;

/**
 * Up from the leaves, down from the root, until a whole pass moves nothing; with writers that do not pause, a bounded number of times.
 * A link that fails is left alone from then on, the others go on.
 */
export async function syncLinks(options: SyncOptions): Promise<readonly LinkResult[]> {
  const names = new Set(options.links.map(linkName));
  const upwards = leavesFirst(options.topology).filter((link) => names.has(linkName(link)));
  const downwards = upwards.toReversed();
  const total = new Map<string, LinkCounts>();
  const errors = new Map<string, unknown>();
  const open = new Map<string, Link>();
  for (let pass = 0; pass < MAX_PASSES && !options.signal.aborted; pass++) {
    let moved = 0;
    for (const link of pass % 2 === 0 ? upwards : downwards) {
      const name = linkName(link);
      if (errors.has(name) || options.signal.aborted) continue;
      try {
        const made = await linkOf(options, link, open);
        const counts = await made.sync(options.signal);
        total.set(name, add(total.get(name), counts));
        moved += counts.sent + counts.received;
      } catch (error) {
        errors.set(name, error);
      }
    }
    // one link that is caught up has nothing to wait for from the others
    if (moved === 0 || upwards.length === 1) break;
  }
  return options.links.map((link) => ({ link, counts: add(total.get(linkName(link))), error: errors.get(linkName(link)) }));
}

async function linkOf({ topology, nodes, parts, observer }: SyncOptions, link: TopologyLink, open: Map<string, Link>): Promise<Link> {
  const known = open.get(linkName(link));
  if (known !== undefined) return known;
  const made = await parts.createLink({
    parent: reachedNode(nodes, link.parent),
    child: reachedNode(nodes, link.child),
    link,
    topology,
    observer,
  });
  open.set(linkName(link), made);
  return made;
}

const NONE: LinkCounts = { sent: 0, received: 0, conflicts: 0, parked: 0 };

function add(a: LinkCounts = NONE, b: LinkCounts = NONE): LinkCounts {
  return {
    sent: a.sent + b.sent,
    received: a.received + b.received,
    conflicts: a.conflicts + b.conflicts,
    parked: a.parked + b.parked,
  };
}
