import { elapsedMs } from "../change/elapsed.ts";
import { type ChannelName, earlier, type Position, packetNumber, START } from "../change/names.ts";
import type { Tick } from "../node/change-log.ts";
import type { PeerState } from "../node/target.ts";
import type { Flow } from "./flow.ts";

/** What the source was last told of its target, and when. */
export class Acknowledged {
  position: Position = START;
  number = 0n;
  at = 0;
}

/** The source is told at most this often while things move. */
const BUSY_MS = 1_000;
/** That a node out of reach is there is written down at most this often. */
const PRESENT_MS = 300_000;
/** Stands for "no channel at all" in what a peer has acknowledged. */
const NOTHING_READ = "-" as ChannelName;

/** Tells the source of a flow how far its target has got, so that its log can be purged. */
export class Acknowledging {
  readonly #flow: Flow;
  readonly #now: () => number;
  readonly #last: Acknowledged;
  #hasAcknowledged = false;

  /** `last`: where flows follow each other, what the one before left. */
  constructor({ flow, now, acknowledged = new Acknowledged() }: { flow: Flow; now: () => number; acknowledged?: Acknowledged }) {
    this.#flow = flow;
    this.#now = now;
    this.#last = acknowledged;
  }

  /** `idle`: nothing moves, so what is known now is worth telling at once. */
  async tell(tick: Tick, { idle, state: read }: { readonly idle: boolean; readonly state: () => Promise<PeerState> }): Promise<void> {
    const { source, target, groups } = this.#flow;
    if (!idle && elapsedMs(this.#last.at, this.#now()) < BUSY_MS) return;
    const state = target.relayed?.confirmed() ?? (await read());
    const names = groups.flatMap((channels) => channels.map(({ name }) => name));
    // a node whose neighbour reads nothing from it still has its log purged
    const durable = names.reduce<Position>((lowest, name) => earlier(lowest, state.channels.get(name)?.position ?? START), tick.position);
    // where tables begin to be read from counts, too, though nothing was sent yet: a log that is empty may stay so for long;
    // and that a node out of reach is there is written down now and then, though nothing moves
    const isOld = target.relayed === undefined || elapsedMs(this.#last.at, this.#now()) > PRESENT_MS;
    const begins = isOld && !this.#hasAcknowledged && names.every((name) => state.channels.has(name));
    if (durable === this.#last.position && state.number === this.#last.number && !begins) return;
    // the two may begin anew between what was read of a target and this; one that is out of reach says itself what it has
    const fence = target.relayed === undefined && { since: packetNumber(this.#last.number) };
    // the source may have been put back to a copy, too: what was read of it is then of a life that is over
    await source.log.acknowledge(target.name, names.length > 0 ? names : [NOTHING_READ], durable, state.number, { ...fence, read: tick });
    this.#hasAcknowledged = true;
    Object.assign(this.#last, { position: durable, number: state.number, at: this.#now() });
  }

  /** What was acknowledged may be of a time that is over. */
  reset(): void {
    this.#hasAcknowledged = false;
    Object.assign(this.#last, new Acknowledged());
  }
}
