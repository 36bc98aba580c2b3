import { TomboloError } from "../change/error.ts";
import { type ChannelName, type Position, START } from "../change/names.ts";
import type { Node } from "../node/node.ts";
import type { PeerMarks } from "../node/rejoin.ts";

/**
 * A node that has committed less than its neighbour knows it to have committed was restored from an older copy, or it is one of two copies. Its log gives numbers
 * a second time, which positions alone do not show. Throws `NODE_REWOUND` (operator). What was sent is looked at before what was received, so that a packet that is under
 * way meanwhile is no sign of anything.
 */
export async function mustNotBeRewound(parent: Node, child: Node): Promise<void> {
  await mustHaveAll(parent, child);
  await mustHaveAll(child, parent);
}

async function mustHaveAll(source: Node, target: Node): Promise<void> {
  const sent = await source.rejoin.marks(target.name);
  const received = await target.rejoin.marks(source.name);
  if (sent === null || received === null) return;
  if (received.receivedPacket < sent.sentPacket) {
    const some = `${received.receivedPacket} of ${sent.sentPacket} are there`;
    throw rewound(target, `${target.name} has lost packets of ${source.name} that it had committed (${some})`);
  }
  if (sent.mustResync) return;
  // what was not acknowledged in time leaves no other trace at a source that has written on since, past where its log was read before
  for (const [channel, at] of received.received) {
    if (knowsOf(sent, channel, at) || (await source.rejoin.hasSealed(at, received.sealed.get(channel)))) continue;
    throw rewound(source, `${source.name} has lost a part of its log that ${target.name} has received (up to ${at} of channel ${channel})`);
  }
}

/** Acknowledged, or, before the first receipt, where its tables began in its log. */
function knowsOf({ sent, seeded }: PeerMarks, channel: ChannelName, at: Position): boolean {
  const acknowledged = sent.get(channel);
  return acknowledged === undefined ? at === START || [...seeded.values()].includes(at) : at <= acknowledged;
}

const rewound = ({ name }: Node, message: string): TomboloError =>
  new TomboloError(message, {
    code: "NODE_REWOUND",
    kind: "operator",
    hint: `${name} was restored from an older copy, or is one of two copies: run \`tombolo nodes resync\` for the child of the two`,
  });
