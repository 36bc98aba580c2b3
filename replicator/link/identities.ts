import type { NodeIdentity } from "../node/identity.ts";
import type { Node } from "../node/node.ts";

interface Read {
  readonly identity: Promise<NodeIdentity>;
  readonly at: number;
}

/** By node: the same for the thousand links that one may have, and on a server it takes a few round trips. */
const reads = new WeakMap<Node, Read>();

/**
 * Who a node is, and how its clock goes, as it was read less than `atMostMs` ago, for whichever link; 0 reads it now. Throws what
 * `Installation.identity` throws.
 */
export function identityOf(node: Node, { now, atMostMs }: { readonly now: number; readonly atMostMs: number }): Promise<NodeIdentity> {
  const last = reads.get(node);
  // a link may have a clock of its own
  if (last !== undefined && Math.abs(now - last.at) < atMostMs) return last.identity;
  const identity = node.installation.identity();
  const read = { identity, at: now };
  reads.set(node, read);
  identity.catch(() => {
    if (reads.get(node) === read) reads.delete(node);
  });
  return identity;
}

/** It has begun a life of its own: who it was is forgotten. */
export const forgetIdentity = (node: Node): void => void reads.delete(node);
