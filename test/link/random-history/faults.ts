import type { Part } from "../../../replicator/change/packet.ts";
import { packet as sealed } from "../../../replicator/change/packet-seal.ts";
import type { Node } from "../../../replicator/node/node.ts";
import type { Target } from "../../../replicator/node/target.ts";

/** What befalls the packets of a round. */
export interface Trouble {
  /** What happens to the next packet; null for nothing. */
  next(): "repeated" | "receipt lost" | "cut off" | null;
  /** Before a packet is applied. */
  meanwhile(): Promise<void>;
  /** Whether what a target wants is not asked of the source any more. */
  refreshLost(): boolean;
}

export class Breakdown extends Error {}

/** A node whose packets fare as `trouble` says: as on a bad line, and with a replicator that dies at the worst moment. */
export function troubled(node: Node, trouble: () => Trouble): Node {
  const target = over<Target>(node.target, {
    async apply(packet, context) {
      const now = trouble();
      await now.meanwhile();
      const fate = now.next();
      if (fate === null) return node.target.apply(packet, context);
      const parts: Part[] = [];
      for await (const part of packet.parts) parts.push(part);
      const again = () => sealed({ header: packet.header, parts: fate === "cut off" ? cut(parts) : all(parts) });
      const receipt = await node.target.apply(again(), context);
      if (fate === "receipt lost") throw new Breakdown("after the commit");
      const repeated = await node.target.apply(again(), context);
      if (!repeated.duplicate || repeated.digest !== receipt.digest) throw new Error("a repeated packet was applied twice");
      return receipt;
    },
  });
  const log = over<Node["log"]>(node.log, {
    async refresh(reader, rows) {
      if (trouble().refreshLost()) throw new Breakdown("before the rows were asked for");
      await node.log.refresh(reader, rows);
    },
  });
  return over<Node>(node, { target, log });
}

async function* all(parts: readonly Part[]): AsyncGenerator<Part> {
  yield* parts;
}

async function* cut(parts: readonly Part[]): AsyncGenerator<Part> {
  yield* parts;
  throw new Breakdown("in the middle of a packet");
}

/** The object with some of its members replaced. */
function over<T extends object>(object: T, members: Partial<T>): T {
  return new Proxy(object, {
    get(target, name) {
      if (Object.hasOwn(members, name)) return members[name as keyof T];
      const value = target[name as keyof T];
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
