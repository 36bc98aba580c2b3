import { TomboloError } from "../change/error.ts";
import { failpoint } from "../change/failpoints.ts";
import type { Epoch, PacketNumber } from "../change/names.ts";
import { anewFrom, type ChildMarks, channelsOf } from "../full-sync/resync.ts";
import { flowTables } from "../link/flow.ts";
import { edgeHolder, type FullSyncRun } from "../node/full-sync-runs.ts";
import type { Restart } from "../node/rejoin.ts";
import type { Topology } from "../topology/topology.ts";
import type { EdgePlace } from "./edge-desk.ts";

/**
 * The hub's part in beginning anew with an edge, before the full sync that follows. The edge asks from where, restarts its side, and says so; then the hub restarts its
 * own. Whatever dies in between, the wish still stands, and all of it is done again, to the same end: nothing flows before the full sync is handed over.
 */
export class EdgeAnew {
  readonly #place: EdgePlace;
  readonly #topology: Topology;

  constructor(place: EdgePlace, topology: Topology) {
    this.#place = place;
    this.#topology = topology;
  }

  /** Changes nothing. Throws `RESYNC_GONE` (retry) where nobody wants it, or not any more. */
  async from(run: bigint, below: ChildMarks | null): ReturnType<typeof anewFrom> {
    const { node, end, link } = this.#place;
    await this.#wanted(run);
    // makes the two known to each other
    await end.report();
    const told = await anewFrom(node, { child: link.child, below, up: this.#channels("child"), down: this.#channels("parent") });
    failpoint("hub.anew_told");
    return told;
  }

  /** The edge has begun anew. Throws `RESYNC_GONE` (retry), and `PACKET_GAP` (retry) where a packet of before has come meanwhile. */
  async begun(
    run: bigint,
    at: Pick<Restart, "received" | "sent"> & { readonly epoch: Epoch; readonly receivedPacket: PacketNumber },
  ): Promise<void> {
    const { node, link } = this.#place;
    const { direction } = await this.#wanted(run);
    const [up, down] = [new Set(this.#channels("child")), new Set(this.#channels("parent"))];
    await node.rejoin.restart(link.child, {
      // what the edge has sent is what is received here
      received: new Map([...at.sent].filter(([channel]) => up.has(channel))),
      sent: new Map([...at.received].filter(([channel]) => down.has(channel))),
      epoch: at.epoch,
      receivedPacket: at.receivedPacket,
    });
    const details = { node: link.child, run: run.toString(), direction };
    await node.audit.record({ who: edgeHolder(link.child), what: "edge began anew", details });
  }

  #channels(from: "child" | "parent"): ReturnType<typeof channelsOf> {
    const { node, link } = this.#place;
    return channelsOf(flowTables({ from, parentEngine: node.engine, link, topology: this.#topology }));
  }

  async #wanted(id: bigint): Promise<FullSyncRun> {
    const { node, link } = this.#place;
    const run = await node.copies.runs.find(id);
    if (run?.peer === link.child && run.state === "requested" && run.terms.anew === true) return run;
    throw new TomboloError(`nobody wants ${link.child} to begin anew, or not any more`, {
      code: "RESYNC_GONE",
      kind: "retry",
      hint: "Nothing; the edge asks anew what is wanted of it.",
    });
  }
}
