import { elapsedMs } from "../change/elapsed.ts";
import { TomboloError } from "../change/error.ts";
import { type ChannelName, type Epoch, earlier, type NodeName, type Position, START } from "../change/names.ts";
import type { Packet, PacketHeader, Part, Receipt } from "../change/packet.ts";
import type { Codec } from "../change/packet-compression.ts";
import { CompressionSample, type MeteredPacket, meteredPacket } from "../change/packet-meter.ts";
import { packet } from "../change/packet-seal.ts";
import { sealedAsOf, type Tick } from "../node/change-log.ts";
import type { ApplyContext, PeerState } from "../node/target.ts";
import { type Acknowledged, Acknowledging } from "./acknowledging.ts";
import type { Flow, FlowChannel } from "./flow.ts";
import type { LinkObserver } from "./link.ts";
import type { LinkScopes } from "./link-scopes.ts";
import { outgoing } from "./outgoing.ts";
import { Pace, TARGET_MS } from "./pace.ts";
import { ParkedRounds } from "./parked-rounds.ts";
import { nothing, resumed, watched } from "./part-streams.ts";
import { afterPacket } from "./peer-progress.ts";
import { rescope } from "./rescope.ts";
import { type Bounds, fillDown, newTables, nextNumber, seenOf, startUp } from "./start-tables.ts";

export interface TransferOptions {
  readonly flow: Flow;
  readonly parent: NodeName;
  readonly child: NodeName;
  readonly bounds: Bounds;
  readonly codec: Codec;
  /** Missing where the source is a child whose parent is out of reach: it is the parent that keeps them. */
  readonly scopes?: LinkScopes;
  readonly observer: LinkObserver;
  /** Before the source tells rows that the target wants: what the target has of its own is to be there first, or it would be told how they were without. */
  readonly beforeTelling?: () => Promise<void>;
  /** Where transfers follow each other, what the last one left. */
  readonly acknowledged?: Acknowledged;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export interface PassOptions {
  /** It looks at all that is there, and not only at what is at hand. */
  readonly final: boolean;
  /** Tells the target, by an empty packet, of ticks that held nothing for it; as a final pass does. */
  readonly advance?: boolean;
  /** Up to there nothing is for the target. */
  readonly emptyTo?: Position;
  /** See `TickOptions.oldMs`. */
  readonly oldMs?: number;
}

/** What one pass over a flow moved. */
export interface Transferred {
  readonly changes: number;
  readonly conflicts: number;
  readonly parked: number;
  /** Rows that the target asked for: they are on their way. */
  readonly wanted: number;
  /** The target has changes of the source set aside, from this pass or before. */
  readonly waiting: boolean;
}

/** The target's state is read anew at most this often. */
const HOUSEKEEPING_MS = 1_000;
/** A position that only other readers' changes moved is written to the target at most this often. */
const QUIET_ADVANCE_MS = 5_000;

/**
 * Moves one flow of a link: everything that its source holds for its target up to a tick, group by group. Remembers between
 * passes only what saves a round trip; the truth is in the target.
 */
export class Transfer {
  readonly #options: TransferOptions;
  #state: PeerState | undefined;
  #stateReadAt = 0;
  readonly #acknowledging: Acknowledging;
  #knownEmptyTo: Position = START;
  #advancedAt = 0;
  #tick: Position = START;
  /** What was last asked of the source because the target wanted it; after an error it is asked again, as it may have been in vain. */
  #asked = "";
  readonly #parked: ParkedRounds;
  readonly #sample = new CompressionSample();
  readonly #pace: Pace;

  constructor(options: TransferOptions) {
    this.#options = options;
    this.#acknowledging = new Acknowledging(options);
    this.#pace = new Pace({ largest: options.bounds.maxRows, targetMs: TARGET_MS[options.flow.target.engine] });
    this.#parked = new ParkedRounds(options);
  }

  /** The source's tick that the last pass went up to. */
  get position(): Position {
    return this.#tick;
  }

  /** Forgets what it remembers: after an error, and when another process may have moved the link. */
  reset(): void {
    this.#state = undefined;
    this.#knownEmptyTo = START;
    this.#asked = "";
    this.#acknowledging.reset();
    this.#options.scopes?.reset();
  }

  /** Makes sure of the rows that the target is given; before anything moves, in either direction. */
  async prepareScopes(): Promise<void> {
    await this.#options.scopes?.prepare(await this.#peerState(), this.#options.flow.target.relayed?.confirmed());
  }

  async paused(): Promise<boolean> {
    return (await this.#peerState()).paused;
  }

  async pass(epoch: Epoch, given: ApplyContext, options: PassOptions): Promise<Transferred> {
    const { flow, observer } = this.#options;
    const context: ApplyContext = {
      ...given,
      onPart: (changes, ms) => {
        this.#pace.took(changes, ms);
        given.onPart?.(changes, ms);
      },
    };
    const total = { changes: 0, conflicts: 0, parked: 0, wanted: 0 };
    // a pass that is to be the last looks at all that is there
    if (options.final) this.#stateReadAt = Number.NEGATIVE_INFINITY;
    if (options.emptyTo !== undefined && options.emptyTo > this.#knownEmptyTo) this.#knownEmptyTo = options.emptyTo;
    const add = (receipt: Receipt): void => {
      total.changes += Object.values(receipt.applied).reduce((sum, count) => sum + count, 0);
      total.conflicts += receipt.conflicts.reduce((sum, conflict) => sum + conflict.count, 0);
      total.parked += receipt.parked;
      total.wanted += receipt.wanted.length;
    };
    for (const channels of flow.groups) {
      const receipt = await this.#start(channels, epoch, context);
      if (receipt !== undefined) add(receipt);
      if (flow.from === "parent") for (const more of await this.#rescope(channels, epoch, context)) add(more);
    }
    const tick = await flow.source.log.tick({
      lagging: !options.final,
      after: furthest(await this.#peerState(), this.#tick),
      ...(options.oldMs !== undefined && { oldMs: options.oldMs }),
    });
    this.#tick = tick.position;
    for (const channels of flow.groups) {
      const receipt = await this.#send(channels, tick, epoch, context);
      if (receipt !== undefined) add(receipt);
    }
    if (total.changes === 0 && total.parked === 0) {
      observer.caughtUp({ source: flow.source.name, target: flow.target.name, at: this.#options.now() });
    }
    const through = (await this.#peerState()).hasParked ? await this.#parked.retry(context, { all: options.final }) : 0;
    if (through > 0) this.#state = undefined;
    total.changes += through;
    if (total.changes === 0) this.#knownEmptyTo = tick.position;
    await this.#advance(tick, epoch, context, options.advance ?? options.final);
    await this.#acknowledging.tell(tick, { idle: options.final || total.changes === 0, state: () => this.#peerState() });
    const { hasParked } = await this.#peerState();
    await this.#parked.tell({ hasParked, moved: total.parked + through > 0 });
    return { ...total, waiting: hasParked };
  }

  /** Tries parked changes now, all or only these; answers how many went through. */
  async retryParked(context: ApplyContext, only?: readonly bigint[]): Promise<number> {
    const through = await this.#parked.retry(context, { all: true, ...(only !== undefined && { only }) });
    this.#state = undefined;
    const { hasParked } = await this.#peerState();
    await this.#parked.tell({ hasParked, moved: true });
    return through;
  }

  async #peerState(): Promise<PeerState> {
    const { flow, now } = this.#options;
    if (this.#state === undefined || elapsedMs(this.#stateReadAt, now()) > HOUSEKEEPING_MS) {
      const state = await flow.target.target.peer(flow.source.name);
      // by a packet before a crash, by a retry, or by a person; asking twice does no harm
      if (idOf(state.wanted) !== this.#asked) await this.#ask(state.wanted);
      this.#state = state;
      this.#stateReadAt = now();
    }
    return this.#state;
  }

  async #ask(wanted: Receipt["wanted"]): Promise<void> {
    if (wanted.length === 0) return;
    await this.#options.beforeTelling?.();
    await this.#options.flow.source.log.refresh(this.#options.flow.target.name, wanted);
    this.#asked = idOf(wanted);
  }

  /** Brings tables under way that the target does not receive yet. */
  async #start(channels: readonly FlowChannel[], epoch: Epoch, context: ApplyContext): Promise<Receipt | undefined> {
    const { flow, bounds, observer, scopes } = this.#options;
    const state = await this.#peerState();
    const tables = newTables(channels, state);
    if (tables.length > 0) this.#state = undefined;
    if (flow.from === "child" || scopes === undefined) {
      await startUp(flow, channels, state);
      return undefined;
    }
    if (tables.length === 0) return undefined;
    const notice = { level: "info", source: flow.source.name, target: flow.target.name } as const;
    observer.notice({ ...notice, code: "FILL_STARTED", message: `filling ${tables.length} table(s): ${tables.join(", ")}` });
    const started = this.#options.now();
    const receipt = await fillDown(flow, {
      tables,
      state,
      epoch,
      context,
      bounds,
      pace: this.#pace,
      scopes,
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
    await this.#ask(receipt.wanted);
    observer.notice({ ...notice, code: "FILL_FINISHED", message: `filled ${tables.length} table(s) with ${receipt.applied.insert} rows` });
    return receipt;
  }

  /** Takes tables over to other rows where the topology wants the target to have others. */
  async #rescope(channels: readonly FlowChannel[], epoch: Epoch, context: ApplyContext): Promise<readonly Receipt[]> {
    const { flow, bounds, observer, scopes } = this.#options;
    if (scopes === undefined) return [];
    await this.prepareScopes();
    const steps = scopes.due(channels.flatMap(({ tables }) => tables));
    if (steps.length === 0) return [];
    const receipts: Receipt[] = [];
    const started = this.#options.now();
    const filled = await rescope(flow, {
      steps,
      scopes,
      epoch,
      context,
      bounds,
      catchUp: async (tick) => {
        const receipt = await this.#send(channels, tick, epoch, context);
        if (receipt !== undefined) receipts.push(receipt);
      },
      state: () => this.#peerState(),
    });
    this.#state = undefined;
    await this.prepareScopes();
    const seconds = (this.#options.now() - started) / 1000;
    observer.applied(this.#event("fill", filled, { rawBytes: 0, compressedBytes: 0, seconds, lagSeconds: null }));
    const { applied } = filled;
    const names = steps.map(({ table }) => table).join(", ");
    const message = `${flow.target.name} is given other rows of ${names}: ${applied.insert} came, ${applied.delete} went`;
    observer.notice({ level: "info", source: flow.source.name, target: flow.target.name, code: "SCOPE_CHANGED", message });
    return [...receipts, filled];
  }

  /** One packet with what the group has up to the tick; nothing when it has nothing. */
  async #send(channels: readonly FlowChannel[], tick: Tick, epoch: Epoch, context: ApplyContext): Promise<Receipt | undefined> {
    const { flow, bounds, scopes } = this.#options;
    const state = await this.#peerState();
    this.#mustNotBeAhead(state, tick);
    const { tables, after, parts } = outgoing({
      ...{ flow, channels, state, tick, bounds, knownEmptyTo: this.#knownEmptyTo },
      ...(flow.from === "parent" && scopes !== undefined && { filters: scopes.current() }),
    });
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
    const { flow, now } = this.#options;
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
      ...sealedAsOf(send.tick),
      tables: await flow.source.log.shapes(send.tables),
      seen: seenOf(send.tick.seen[flow.target.name], send.channels),
    };
    const oldest = { changedAt: Number.POSITIVE_INFINITY };
    const metered = this.#metered(packet({ header, parts: watched(this.#pace.cut(send.parts), oldest) }));
    const started = now();
    // whatever happens, what is remembered of the target may be out of date now
    this.#state = undefined;
    const receipt = await flow.target.target.apply(metered.packet, send.context);
    const { raw, compressed } = await metered.sizes();
    const seconds = (now() - started) / 1000;
    const lagSeconds = Number.isFinite(oldest.changedAt) ? (now() - oldest.changedAt / 1000) / 1000 : null;
    this.#options.observer.applied(this.#event("changes", receipt, { rawBytes: raw, compressedBytes: compressed, seconds, lagSeconds }));
    if (!receipt.duplicate) {
      this.#state = { ...afterPacket(state, header, receipt.digest), hasParked: state.hasParked || receipt.parked > 0 };
    }
    await this.#ask(receipt.wanted);
    return receipt;
  }

  /** What a packet comes to: a relay sends it, and knows; for a database it is measured. */
  #metered(made: Packet): MeteredPacket {
    const { flow, codec } = this.#options;
    const { relayed } = flow.target;
    return relayed === undefined ? meteredPacket(made, codec, this.#sample) : { packet: made, sizes: () => relayed.sizes() };
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
      partChanges: this.#pace.rows,
      lagSeconds: measured.lagSeconds,
    };
  }

  /**
   * Lets the target's position follow ticks that held nothing for it, and tells it how much of its own log was applied, so that
   * both logs can be purged. An empty packet, rarely.
   */
  async #advance(tick: Tick, epoch: Epoch, context: ApplyContext, now: boolean): Promise<void> {
    const { flow } = this.#options;
    // to a node out of reach, when its side asks for it: each such packet is an answer that it has waited for
    const soon = flow.target.relayed !== undefined || elapsedMs(this.#advancedAt, this.#options.now()) < QUIET_ADVANCE_MS;
    if (!now && soon) return;
    this.#advancedAt = this.#options.now();
    const { channels: progress, seen } = await this.#peerState();
    for (const channels of flow.groups) {
      const names = channels.map(({ name }) => name).filter((name) => progress.has(name));
      const after = names.reduce<Position>((lowest, name) => earlier(lowest, progress.get(name)?.position ?? lowest), tick.position);
      const nothingNew = after === tick.position && sameSeen(seenOf(tick.seen[flow.target.name], names), seen);
      if (names.length === 0 || nothingNew || this.#knownEmptyTo < tick.position) continue;
      await this.#apply({ tick, epoch, context, after, channels: names, tables: [], parts: nothing() });
    }
  }
}

const idOf = (wanted: Receipt["wanted"]): string => wanted.map(({ table, key }) => `${table}\0${key}`).join("\0");

/** The furthest that the target, or the last pass, has got in the source's log. */
const furthest = ({ channels }: PeerState, tick: Position): Position =>
  [...channels.values()].reduce((far, { position }) => (position > far ? position : far), tick);

/** Whether all of `now` was told. */
const sameSeen = (now: PacketHeader["seen"], told: PacketHeader["seen"]): boolean =>
  Object.entries(now).every(([channel, at]) => told[channel] === at);
