import { TomboloError } from "../change/error.ts";
import type { Node } from "../node/node.ts";

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
  const sent = (await source.rejoin.marks(target.name))?.sentPacket ?? 0n;
  const received = (await target.rejoin.marks(source.name))?.receivedPacket ?? 0n;
  if (received >= sent) return;
  throw new TomboloError(`${target.name} has lost packets of ${source.name} that it had committed (${received} of ${sent} are there)`, {
    code: "NODE_REWOUND",
    kind: "operator",
    hint: `${target.name} was restored from an older copy, or is one of two copies: run \`tombolo nodes resync\` for the child of the two`,
  });
}
