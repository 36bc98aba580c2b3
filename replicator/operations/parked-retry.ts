import type { NodeName } from "../change/names.ts";
import type { Parts } from "../lifecycle/parts.ts";
import type { LinkObserver } from "../link/link.ts";
import type { Node } from "../node/node.ts";
import type { ParkedRecord } from "../node/parked-desk.ts";
import type { Logger } from "../observability/log.ts";
import type { Topology, TopologyLink } from "../topology/topology.ts";

/** A parked change and the node that keeps it. */
export interface KeptChange {
  readonly node: NodeName;
  readonly record: ParkedRecord;
}

/** Whether a parked change came over this link. */
export const cameOver = ({ parent, child }: TopologyLink, { node, record }: KeptChange): boolean =>
  record.role === "child" ? node === parent && record.peer === child : node === child && record.peer === parent;

/** Tries changes that came over a link again, at once, by its rules and with the clocks of both ends: so both must be there. */
export async function retryOverLink(
  world: {
    readonly topology: Topology;
    readonly reach: (name: NodeName) => Promise<Node>;
    readonly createLink: Parts["createLink"];
    readonly log: Logger;
  },
  link: TopologyLink,
  changes: readonly KeptChange[],
): Promise<void> {
  const { topology, reach, createLink, log } = world;
  const { parent, child } = link;
  const at = (node: NodeName): bigint[] => changes.filter((kept) => kept.node === node).map(({ record }) => record.id);
  const made = await createLink({ parent: await reach(parent), child: await reach(child), link, topology, observer: noticesOnly(log) });
  await made.retryParked({ parent: at(parent), child: at(child) });
}

/** For what is done once: what a person should know, and nothing for metrics. */
export const noticesOnly = (log: Logger): LinkObserver => ({
  applied: () => {},
  caughtUp: () => {},
  failed: () => {},
  recovered: () => {},
  notice: ({ level, message, ...details }) => log[level](details, message),
});
