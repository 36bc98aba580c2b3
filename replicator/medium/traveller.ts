import { z } from "zod";
import type { NodeName } from "../change/names.ts";
import type { Judge } from "../change/verdict.ts";
import type { LinkObserver } from "../link/link.ts";
import { LinkEnd } from "../link/link-end.ts";
import { manifestSchema } from "../link/manifest.ts";
import { type Report, reportSchema } from "../link/report.ts";
import type { Node } from "../node/node.ts";
import type { PeerRole } from "../node/target.ts";
import type { Topology, TopologyLink } from "../topology/topology.ts";
import { digestText } from "./format.ts";
import { busy } from "./medium-errors.ts";
import { type MediumState, mediumStateSchema, NEW_STATE } from "./medium-state.ts";

/** One end of a link that travels on files, at the node that this process has. */
export interface TravelOptions {
  readonly node: Node;
  readonly link: TopologyLink;
  readonly topology: Topology;
  readonly judge: Judge;
  readonly observer: LinkObserver;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** What a medium says of its sender: where it is, which medium of the receiver it took last, and for an edge what that has to know of the topology. */
export const wordSchema = z.strictObject({
  report: z.unknown(),
  taken: z.strictObject({ number: z.int().min(0), digest: z.union([digestText, z.literal("")]) }),
  topology: manifestSchema.optional(),
});
export type Word = z.output<typeof wordSchema>;

export const otherOf = ({ node, link }: TravelOptions): NodeName => (link.parent === node.name ? link.child : link.parent);

export function endOf(options: TravelOptions): LinkEnd {
  const { node, link, topology } = options;
  const name = otherOf(options);
  // an edge of a group is no node of the topology; which engine it has only sets how large the parts of a packet are
  const engine = topology.nodes.find((each) => each.name === name)?.type ?? "sqlite";
  const role: PeerRole = link.parent === node.name ? "parent" : "child";
  return new LinkEnd({ ...options, role, other: { name, engine } });
}

/** What is remembered, and how to put something else in its place. */
export interface Remembered {
  readonly state: MediumState;
  /** Throws `MEDIUM_BUSY` (retry) where another process was faster. */
  replace(after: MediumState): Promise<void>;
}

export async function remember(node: Node, other: NodeName): Promise<Remembered> {
  const before = await node.media.read(other);
  return {
    state: before === null ? NEW_STATE : mediumStateSchema.parse(JSON.parse(before)),
    async replace(after) {
      if (!(await node.media.replace(other, before, JSON.stringify(after)))) throw busy(other);
    },
  };
}

/**
 * How long ago a report was made: nobody knows how long a medium was on its way, so that clocks count as set, unless the report is from the
 * future: then the other's clock is ahead by as much.
 */
export const delayOf = (report: Report, nodeClockMs: number): number => Math.max(0, nodeClockMs - report.clockMs);

/** The newer of what the other said on its last medium, and in whichever way. */
export async function lastHeard(node: Node, other: NodeName, { heard }: MediumState): Promise<Report | null> {
  const told = await node.media.told(other);
  const both = [heard, told === null ? null : JSON.parse(told)].filter((each) => each !== null).map(reportOf);
  return both.sort((a, b) => Number(a.state.number - b.state.number) || a.clockMs - b.clockMs).at(-1) ?? null;
}

export const reportOf = (json: unknown): Report => reportSchema.parse(json);
