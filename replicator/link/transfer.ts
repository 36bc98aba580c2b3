import { TomboloError } from "../change/error.ts";
import { type ChannelName, type Epoch, earlier, type NodeName, type Position, START } from "../change/names.ts";
import type { PacketHeader, Part, Receipt } from "../change/packet.ts";
import type { Codec } from "../change/packet-compression.ts";
import { type CompressionSample, meteredPacket } from "../change/packet-meter.ts";
import { packet } from "../change/packet-seal.ts";
import type { TableShape } from "../change/shape.ts";
import type { Tick } from "../node/change-log.ts";
import type { ApplyContext, PeerState } from "../node/target.ts";
import type { Flow, FlowChannel } from "./flow.ts";
import type { LinkObserver } from "./link.ts";
import { outgoing } from "./outgoing.ts";
import { type Bounds, fillDown, newTables, nextNumber, seenOf, startUp } from "./start-tables.ts";

export interface TransferOptions {
  readonly flow: Flow;
  readonly parent: NodeName;
  readonly child: NodeName;
  readonly bounds: Bounds;
  readonly codec: Codec;
  readonly observer: LinkObserver;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** What one pass over a flow moved. */
export interface Transferred {
  readonly changes: number;
  readonly conflicts: number;
  readonly parked: number;
}

/** The source's own position is told to it, and the target's state is read anew, at most this often. */
const HOUSEKEEPING_MS = 1_000;
/** A position that only other readers' changes moved is written to the target at most this often. */
const QUIET_ADVANCE_MS = 5_000;
const RETRY_PARKED_MS = 2_000;

/**
 * Moves one flow of a link: everything that its source holds for its target up to a tick, group by group. Remembers between
 * passes only what saves a round trip; the truth is in the target.
 */
export class Transfer {
  readonly #options: TransferOptions;
  #state: PeerState | undefined;
  #stateReadAt = 0;
  #acknowledged: { readonly position: Position; readonly number: bigint } = { position: START, number: 0n };
  #acknowledgedAt = 0;
  #knownEmptyTo: Position = START;
  #advancedAt = 0;
  #retriedAt = 0;
  #tick: Position = START;
  /** `seen` of the last packet sent. */
  #toldSeen: PacketHeader["seen"] = {};
  /** What the target wanted with its last packet was asked of the source since this began, or since the last error. */
  #askedAgain = false;
  readonly #sample: CompressionSample = { parts: 0, ratio: 1 };

  constructor(options: TransferOptions) {
    this.#options = options;
  }

  /** The source's tick that the last pass went up to. */
  get position(): Position {
    return this.#tick;
  }

  /** Forgets what it remembers: after an error, and when another process may have moved the link. */
  reset(): void {
    this.#state = undefined;
    this.#knownEmptyTo = START;
    this.#toldSeen = {};
    this.#askedAgain = false;
  }

  async paused(): Promise<boolean> {
    return (await this.#peerState()).paused;
  }

  async pass(epoch: Epoch, context: ApplyContext, options: { readonly final: boolean }): Promise<Transferred> {
    const { flow, observer } = this.#options;
    const total = { changes: 0, conflicts: 0, parked: 0 };
    const add = (receipt: Receipt): void => {
      total.changes += Object.values(receipt.applied).reduce((sum, count) => sum + count, 0);
      total.conflicts += receipt.conflicts.reduce((sum, conflict) => sum + conflict.count, 0);
      total.parked += receipt.parked;
    };
    for (const channels of flow.groups) {
      const receipt = await this.#start(channels, epoch, context);
      if (receipt !== undefined) add(receipt);
    }
    const tick = await flow.source.log.tick();
    this.#tick = tick.position;
    for (const channels of flow.groups) {
      const receipt = await this.#send(channels, tick, epoch, context);
      if (receipt !== undefined) add(receipt);
    }
    if (total.changes === 0 && total.parked === 0) {
      observer.caughtUp({ source: flow.source.name, target: flow.target.name, at: this.#options.now() });
    }
    total.changes += await this.#retryParked(context, options.final || total.changes > 0);
    if (total.changes === 0) this.#knownEmptyTo = tick.position;
    await this.#advance(tick, epoch, context, options.final);
    await this.#acknowledge(tick, options.final || total.changes === 0);
    return total;
  }

  async #peerState(): Promise<PeerState> {
    const { flow, now } = this.#options;
    if (this.#state === undefined || now() - this.#stateReadAt > HOUSEKEEPING_MS) {
      const state = await flow.target.target.peer(flow.source.name);
      // asked for before a crash, perhaps in vain; asking twice does no harm
      if (this.#state === undefined && !this.#askedAgain && state.wanted.length > 0)
        await flow.source.log.refresh(flow.target.name, state.wanted);
      this.#askedAgain = true;
      this.#state = state;
      this.#stateReadAt = now();
    }
    return this.#state;
  }

  /** Brings tables under way that the target does not receive yet. */
  async #start(channels: readonly FlowChannel[], epoch: Epoch, context: ApplyContext): Promise<Receipt | undefined> {
    const { flow, bounds, observer } = this.#options;
    const state = await this.#peerState();
    const tables = newTables(channels, state);
    if (tables.length === 0) return undefined;
    const notice = { level: "info", source: flow.source.name, target: flow.target.name } as const;
    this.#state = undefined;
    if (flow.from === "child") {
      await startUp(flow, channels, state);
      return undefined;
    }
    observer.notice({ ...notice, code: "FILL_STARTED", message: `filling ${tables.length} table(s): ${tables.join(", ")}` });
    const started = this.#options.now();
    const receipt = await fillDown(flow, {
      tables,
      state,
      epoch,
      context,
      bounds,
      deletesUnknown: () =>
        observer.notice({
          ...notice,
          level: "warn",
          code: "FILL_KEEPS_DELETED",
          message: `the log no longer tells which rows of ${tables.join(", ")} were deleted before the fill: compare both sides`,
        }),
    });
    observer.applied(
      this.#event("fill", receipt, { rawBytes: 0, compressedBytes: 0, seconds: (this.#options.now() - started) / 1000, lagSeconds: null }),
    );
    if (receipt.wanted.length > 0) await flow.source.log.refresh(flow.target.name, receipt.wanted);
    observer.notice({ ...notice, code: "FILL_FINISHED", message: `filled ${tables.length} table(s) with ${receipt.applied.insert} rows` });
    return receipt;
  }

  /** One packet with what the group has up to the tick; nothing when it has nothing. */
  async #send(channels: readonly FlowChannel[], tick: Tick, epoch: Epoch, context: ApplyContext): Promise<Receipt | undefined> {
    const { flow, bounds } = this.#options;
    const state = await this.#peerState();
    this.#mustNotBeAhead(state, tick);
    const { tables, after, parts } = outgoing({ flow, channels, state, tick, bounds, knownEmptyTo: this.#knownEmptyTo });
    if (tables.length === 0) return undefined;
    const iterator = parts[Symbol.asyncIterator]();
    const first = await iterator.next();
    if (first.done === true) return undefined;
    return this.#apply({
      tick,
      epoch,
      context,
      after,
      channels: channels.map(({ name }) => name),
      tables,
      parts: resumed(first.value, iterator),
    });
  }

  /** A target that knows more of the source's log than there is: the source was restored from a backup. */
  #mustNotBeAhead(state: PeerState, tick: Tick): void {
    const { flow } = this.#options;
    for (const [channel, { position }] of state.channels) {
      if (position <= tick.position) continue;
      throw new TomboloError(`${flow.target.name} has received channel ${channel} from ${flow.source.name} beyond the end of its log`, {
        code: "POSITION_AHEAD",
        kind: "operator",
        hint: `${flow.source.name} was probably restored from a backup; compare both before going on, then resync`,
      });
    }
  }

  async #apply(send: {
    readonly tick: Tick;
    readonly epoch: Epoch;
    readonly context: ApplyContext;
    readonly after: Position;
    readonly channels: readonly ChannelName[];
    readonly tables: readonly PacketHeader["tables"][number]["table"][];
    readonly parts: AsyncIterable<Part>;
  }): Promise<Receipt> {
    const { flow, codec, now } = this.#options;
    const state = await this.#peerState();
    const header: PacketHeader = {
      protocol: 1,
      source: flow.source.name,
      target: flow.target.name,
      epoch: send.epoch,
      number: nextNumber(state.number),
      previous: state.digest,
      kind: "changes",
      channels: send.channels,
      after: send.after,
      upTo: send.tick.position,
      tables: await flow.source.log.shapes(send.tables),
      seen: seenOf(send.tick.seen[flow.target.name], send.channels),
    };
    const oldest = { changedAt: Number.POSITIVE_INFINITY };
    const metered = meteredPacket(packet({ header, parts: watched(send.parts, oldest) }), codec, this.#sample);
    const started = now();
    // whatever happens, what is remembered of the target may be out of date now
    this.#state = undefined;
    const receipt = await flow.target.target.apply(metered.packet, send.context);
    this.#toldSeen = { ...this.#toldSeen, ...header.seen };
    const { raw, compressed } = await metered.sizes();
    const seconds = (now() - started) / 1000;
    const lagSeconds = Number.isFinite(oldest.changedAt) ? (now() - oldest.changedAt / 1000) / 1000 : null;
    this.#options.observer.applied(this.#event("changes", receipt, { rawBytes: raw, compressedBytes: compressed, seconds, lagSeconds }));
    if (!receipt.duplicate) this.#state = advancedState(state, header, receipt);
    if (receipt.wanted.length > 0) await flow.source.log.refresh(flow.target.name, receipt.wanted);
    return receipt;
  }

  #event(
    kind: "changes" | "fill",
    receipt: Receipt,
    measured: { readonly rawBytes: number; readonly compressedBytes: number; readonly seconds: number; readonly lagSeconds: number | null },
  ): Parameters<LinkObserver["applied"]>[0] {
    const { flow, parent, child } = this.#options;
    return {
      source: flow.source.name,
      target: flow.target.name,
      parent,
      child,
      kind,
      receipt,
      rawBytes: measured.rawBytes,
      compressedBytes: measured.compressedBytes,
      applySeconds: measured.seconds,
      lagSeconds: measured.lagSeconds,
    };
  }

  async #retryParked(context: ApplyContext, soon: boolean): Promise<number> {
    const { flow, now, observer } = this.#options;
    const state = await this.#peerState();
    if (!state.hasParked || (!soon && now() - this.#retriedAt < RETRY_PARKED_MS)) return 0;
    this.#retriedAt = now();
    const through = await flow.target.target.retryParked(flow.source.name, context, await this.#shapesNow());
    if (through > 0) {
      this.#state = undefined;
      this.#askedAgain = false;
      observer.notice({
        level: "info",
        code: "PARKED_APPLIED",
        message: `${through} parked change(s) went through`,
        source: flow.source.name,
        target: flow.target.name,
      });
    }
    return through;
  }

  async #shapesNow(): Promise<readonly TableShape[]> {
    const { source, groups } = this.#options.flow;
    try {
      return await source.log.shapes(groups.flatMap((channels) => channels.flatMap(({ tables }) => tables)));
    } catch (error) {
      // what waits is then read by the shapes that it came with
      if (error instanceof TomboloError && error.code === "TABLE_NOT_CAPTURED") return [];
      throw error;
    }
  }

  /**
   * Lets the target's position follow ticks that held nothing for it, and tells it how much of its own log was applied, so that
   * both logs can be purged. An empty packet, rarely.
   */
  async #advance(tick: Tick, epoch: Epoch, context: ApplyContext, now: boolean): Promise<void> {
    if (!now && this.#options.now() - this.#advancedAt < QUIET_ADVANCE_MS) return;
    this.#advancedAt = this.#options.now();
    const { flow } = this.#options;
    const { channels: progress } = await this.#peerState();
    for (const channels of flow.groups) {
      const names = channels.map(({ name }) => name).filter((name) => progress.has(name));
      const after = names.reduce<Position>((lowest, name) => earlier(lowest, progress.get(name)?.position ?? lowest), tick.position);
      const nothingNew = after === tick.position && sameSeen(seenOf(tick.seen[flow.target.name], names), this.#toldSeen);
      if (names.length === 0 || nothingNew || this.#knownEmptyTo < tick.position) continue;
      await this.#apply({ tick, epoch, context, after, channels: names, tables: [], parts: nothing() });
    }
  }

  async #acknowledge(tick: Tick, idle: boolean): Promise<void> {
    const { flow, now } = this.#options;
    if (!idle && now() - this.#acknowledgedAt < HOUSEKEEPING_MS) return;
    const state = await this.#peerState();
    const names = flow.groups.flatMap((channels) => channels.map(({ name }) => name));
    // a node whose neighbour reads nothing from it still has its log purged
    const durable = names.reduce<Position>((lowest, name) => earlier(lowest, state.channels.get(name)?.position ?? START), tick.position);
    if (durable === this.#acknowledged.position && state.number === this.#acknowledged.number) return;
    this.#acknowledgedAt = now();
    this.#acknowledged = { position: durable, number: state.number };
    await flow.source.log.acknowledge(flow.target.name, names.length > 0 ? names : [NOTHING_READ], durable, state.number);
  }
}

/** Stands for "no channel at all" in what a peer has acknowledged. */
const NOTHING_READ = "-" as ChannelName;

/** What the target's state is after it applied the packet, without asking. */
function advancedState(state: PeerState, header: PacketHeader, receipt: Receipt): PeerState {
  const channels = new Map(state.channels);
  for (const name of header.channels) {
    const ahead = new Map([...(channels.get(name)?.ahead ?? [])].filter(([, at]) => at > header.upTo));
    channels.set(name, { position: header.upTo, ahead });
  }
  return {
    ...state,
    epoch: header.epoch,
    number: header.number,
    digest: receipt.digest,
    channels,
    hasParked: state.hasParked || receipt.parked > 0,
  };
}

/** Whether all of `now` was told. */
const sameSeen = (now: PacketHeader["seen"], told: PacketHeader["seen"]): boolean =>
  Object.entries(now).every(([channel, at]) => told[channel] === at);

async function* resumed(first: Part, rest: AsyncIterator<Part>): AsyncGenerator<Part> {
  try {
    yield first;
    for (;;) {
      const next = await rest.next();
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    await rest.return?.();
  }
}

async function* nothing(): AsyncGenerator<Part> {}

async function* watched(parts: AsyncIterable<Part>, oldest: { changedAt: number }): AsyncGenerator<Part> {
  for await (const part of parts) {
    for (const change of part) if (change.changedAt < oldest.changedAt) oldest.changedAt = change.changedAt;
    yield part;
  }
}
