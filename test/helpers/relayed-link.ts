import type { Receipt } from "../../replicator/change/packet.ts";
import type { Judge } from "../../replicator/change/verdict.ts";
import type { LinkCounts, LinkObserver } from "../../replicator/link/link.ts";
import { type Heard, LinkEnd } from "../../replicator/link/link-end.ts";
import type { Carrier } from "../../replicator/link/relay.ts";
import { type Report, reportJson, reportSchema } from "../../replicator/link/report.ts";
import type { Node } from "../../replicator/node/node.ts";
import type { Topology, TopologyLink } from "../../replicator/topology/topology.ts";

/** Two ends of a link that know nothing of each other but bytes and reports, as over HTTP or on a medium. */
export class RelayedLink {
  readonly parent: LinkEnd;
  readonly child: LinkEnd;

  constructor(options: {
    readonly parent: Node;
    readonly child: Node;
    readonly link: TopologyLink;
    readonly topology: Topology;
    readonly judge: Judge;
    readonly observer: LinkObserver;
  }) {
    const { parent, child, ...shared } = options;
    const now = Date.now;
    this.parent = new LinkEnd({ ...shared, now, node: parent, role: "parent", other: child });
    this.child = new LinkEnd({ ...shared, now, node: child, role: "child", other: parent });
  }

  /** Up, then down, until nothing moves. */
  async settle(): Promise<LinkCounts> {
    const total = { sent: 0, received: 0, conflicts: 0, parked: 0 };
    for (let round = 0; round < 100; round++) {
      const heardOfParent = await this.child.hear(told(await this.parent.report()));
      const heardOfChild = await this.parent.hear(told(await this.child.report()));
      const up = await this.#send("up", heardOfParent, heardOfChild);
      const retried = await this.parent.retryParked(heardOfChild, { all: true });
      const judged = await this.child.hear(told(await this.parent.report()));
      const down = await this.#send("down", heardOfChild, judged);
      const again = await this.child.retryParked(judged, { all: true });
      total.sent += up.changes + retried;
      total.received += down.changes + again;
      total.conflicts += up.conflicts + down.conflicts;
      total.parked += up.parked + down.parked;
      if (up.changes + up.parked + up.wanted + down.changes + down.parked + down.wanted + retried + again === 0) return total;
    }
    throw new Error("the link does not come to rest");
  }

  async #send(way: "up" | "down", heard: Heard, ofSource: Heard) {
    const [source, target] = way === "up" ? [this.child, this.parent] : [this.parent, this.child];
    const moved = { changes: 0, conflicts: 0, parked: 0, wanted: 0 };
    let full = false;
    const carrier: Carrier = {
      start: (start) => target.start(start),
      async packet(_, bytes) {
        // what comes after a packet that leaves rows wanted is on its way, and is not taken
        if (full) for await (const __ of bytes);
        else for (const receipt of await target.receive(only(bytes), ofSource)) full = count(moved, receipt);
      },
    };
    await (await source.sender(heard, carrier)).pass({ final: true });
    return moved;
  }
}

const told = (report: Report): Report => reportSchema.parse(JSON.parse(JSON.stringify(reportJson(report))));

async function* only<T>(one: T): AsyncGenerator<T> {
  yield one;
}

/** Answers whether rows are wanted. */
function count(moved: { changes: number; conflicts: number; parked: number; wanted: number }, receipt: Receipt): boolean {
  moved.changes += Object.values(receipt.applied).reduce((sum, more) => sum + more, 0);
  moved.conflicts += receipt.conflicts.reduce((sum, { count: more }) => sum + more, 0);
  moved.parked += receipt.parked;
  moved.wanted += receipt.wanted.length;
  return receipt.wanted.length > 0;
}
