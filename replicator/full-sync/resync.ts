import { TomboloError } from "../change/error.ts";
import type { ChannelName, Position } from "../change/names.ts";
import { flows } from "../link/flow.ts";
import type { Node } from "../node/node.ts";
import type { PeerMarks } from "../node/rejoin.ts";
import type { Topology, TopologyLink } from "../topology/topology.ts";

export interface ResyncOptions {
  readonly parent: Node;
  readonly child: Node;
  readonly link: TopologyLink;
  readonly topology: Topology;
}

/**
 * Lets two nodes begin anew whose memories of each other no longer agree: one was restored, copied, promoted, or away for longer than its parent's log is kept. Packets
 * are numbered from 1 again. What the child has not sent yet is read from the earlier of what both know of that: what the parent has had already is judged
 * again, and changes nothing where it is as the child left it. Downward everything begins now. A full sync is to follow, and nothing flows before.
 */
export async function beginAnew({ parent, child, link, topology }: ResyncOptions): Promise<void> {
  await accept(parent, true);
  await accept(
    child,
    topology.links.some((other) => other.parent === child.name),
  );
  await parent.target.meet([{ name: child.name, role: "child" }]);
  await child.target.meet([{ name: parent.name, role: "parent" }]);
  const { up, down } = flows({ parent, child, link, topology });
  const channels = (flow: typeof up): readonly ChannelName[] => flow.groups.flatMap((group) => group.map(({ name }) => name));
  const above = await parent.rejoin.marks(child.name);
  const below = await child.rejoin.marks(parent.name);
  const now = (await parent.log.tick()).position;
  const known = channels(down).filter((channel) => below?.received.has(channel));
  const fromNow = new Map(known.map((channel) => [channel, now]));
  // the child first: it says from where on it can still tell
  const told = await child.rejoin.restart(parent.name, { received: fromNow, sent: unsent(channels(up), above, below) });
  await parent.rejoin.restart(child.name, { received: told, sent: fromNow });
}

/** Whatever one of the two does not know to have arrived. */
function unsent(channels: readonly ChannelName[], above: PeerMarks | null, below: PeerMarks | null): Map<ChannelName, Position> {
  const from = new Map<ChannelName, Position>();
  for (const channel of channels) {
    const [arrived, sent] = [above?.received.get(channel), below?.sent.get(channel)];
    if (arrived === undefined && sent === undefined) continue;
    from.set(channel, arrived === undefined || (sent !== undefined && sent < arrived) ? (sent as Position) : arrived);
  }
  return from;
}

/** A database that was copied is itself from now on. A SQLite file may have been copied without a trace: its epoch tells it from the other from now on. */
async function accept(node: Node, hasChildren: boolean): Promise<void> {
  try {
    await node.installation.identity();
    if (node.engine === "sqlite" && !hasChildren) await node.rejoin.renew();
  } catch (error) {
    if (!(error instanceof TomboloError) || error.code !== "DATABASE_CLONED") throw error;
    await node.rejoin.renew();
  }
}
