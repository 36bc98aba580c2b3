import { TomboloError } from "../change/error.ts";
import { type ChannelName, type NodeName, type Position, packetNumber } from "../change/names.ts";
import { type Flow, flows } from "../link/flow.ts";
import type { Node } from "../node/node.ts";
import { positionNow } from "../node/position-now.ts";
import type { PeerMarks, Restart } from "../node/rejoin.ts";
import type { Topology, TopologyLink } from "../topology/topology.ts";

export interface ResyncOptions {
  readonly parent: Node;
  readonly child: Node;
  readonly link: TopologyLink;
  readonly topology: Topology;
}

/** A packet of the link may come between, or its locks be in the way for half a minute. */
const ATTEMPTS = 5;

/**
 * Lets two nodes begin anew whose memories of each other no longer agree: one was restored, copied, promoted, or away for longer than its parent's log is kept. Packets
 * are numbered from 1 again. What the child has not sent yet is read from the earlier of what both know of that: what the parent has had already is judged
 * again, and changes nothing where it is as the child left it. Downward everything begins now. A full sync is to follow, and nothing flows before.
 *
 * What breaks off half-way is begun once more, to the same end.
 */
export async function beginAnew(options: ResyncOptions): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await beginOnce(options);
    } catch (error) {
      if (!(error instanceof TomboloError) || error.kind !== "retry" || attempt >= ATTEMPTS) throw error;
    }
  }
}

async function beginOnce({ parent, child, link, topology }: ResyncOptions): Promise<void> {
  await acceptCopy(parent);
  await acceptCopy(child);
  // a SQLite file may have been copied without a trace: its epoch tells it from the other from now on
  if (child.engine === "sqlite" && !topology.links.some((other) => other.parent === child.name)) await child.rejoin.renew();
  await parent.target.meet([{ name: child.name, role: "child" }]);
  await child.target.meet([{ name: parent.name, role: "parent" }]);
  const { up, down } = flows({ parent, child, link, topology });
  const below = await child.rejoin.marks(parent.name);
  const { received, sent } = await anewFrom(parent, { child: child.name, below, up: channelsOf(up), down: channelsOf(down) });
  // the child first: it says from where on it can still tell
  const told = await child.rejoin.restart(parent.name, { received, sent });
  await parent.rejoin.restart(child.name, { received: told, sent: received });
}

/** Channels of a flow. */
export const channelsOf = ({ groups }: Pick<Flow, "groups">): readonly ChannelName[] =>
  groups.flatMap((group) => group.map(({ name }) => name));

/** What a node has kept of its parent, as far as its positions are concerned. */
export type ChildMarks = Pick<PeerMarks, "received" | "sent">;

/**
 * From where on a child is to go on that begins anew: with the parent's log, from now on; with its own, whatever one of the two does not know to have arrived. Changes
 * nothing. `receivedPacket`: the child's last at the parent; what is said is of then.
 */
export async function anewFrom(
  parent: Pick<Node, "copies" | "rejoin">,
  of: {
    readonly child: NodeName;
    readonly below: ChildMarks | null;
    readonly up: readonly ChannelName[];
    readonly down: readonly ChannelName[];
  },
): Promise<Required<Pick<Restart, "received" | "sent" | "receivedPacket">>> {
  const above = await parent.rejoin.marks(of.child);
  const now = await positionNow(parent);
  const known = of.down.filter((channel) => of.below?.received.has(channel));
  return {
    received: new Map(known.map((channel) => [channel, now])),
    sent: unsent(of.up, above, of.below),
    receivedPacket: above?.receivedPacket ?? packetNumber(0n),
  };
}

function unsent(channels: readonly ChannelName[], above: PeerMarks | null, below: ChildMarks | null): Map<ChannelName, Position> {
  const from = new Map<ChannelName, Position>();
  for (const channel of channels) {
    const [arrived, sent] = [above?.received.get(channel), below?.sent.get(channel)];
    if (arrived === undefined && sent === undefined) continue;
    from.set(channel, arrived === undefined || (sent !== undefined && sent < arrived) ? (sent as Position) : arrived);
  }
  return from;
}

/** A database that was copied is itself from now on. */
export async function acceptCopy(node: Pick<Node, "installation" | "rejoin">): Promise<void> {
  try {
    await node.installation.identity();
  } catch (error) {
    if (!(error instanceof TomboloError) || error.code !== "DATABASE_CLONED") throw error;
    await node.rejoin.renew();
  }
}
