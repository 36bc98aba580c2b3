import { usableOffset } from "../change/clock.ts";
import { TomboloError } from "../change/error.ts";
import type { NodeName, Position, TableName } from "../change/names.ts";
import type { Packet, PacketHeader, Receipt } from "../change/packet.ts";
import { decodePacket } from "../change/packet-codec.ts";
import type { PacketSizes } from "../change/packet-compression.ts";
import { NODE_LIMITS, type PacketLimits } from "../change/packet-limits.ts";
import { once } from "../change/packet-seal.ts";
import type { Engine, TableShape } from "../change/shape.ts";
import type { Judge } from "../change/verdict.ts";
import type { NodeIdentity } from "../node/identity.ts";
import type { Node } from "../node/node.ts";
import type { ApplyContext, PeerRole, PeerState } from "../node/target.ts";
import type { Topology, TopologyLink } from "../topology/topology.ts";
import { Acknowledged } from "./acknowledging.ts";
import { fillAnew, isLeftBehind } from "./fill-anew.ts";
import { type Flow, flowTables, scopedTables } from "./flow.ts";
import { identityOf } from "./identities.ts";
import type { AppliedEvent, LinkObserver } from "./link.ts";
import { LinkScopes } from "./link-scopes.ts";
import { shapesToday } from "./parked-rounds.ts";
import { watched } from "./part-streams.ts";
import { type Carrier, Relay, type TableStart } from "./relay.ts";
import { NOTHING_REFUSED, type Report, reportJson } from "./report.ts";
import { type PassOptions, Transfer, type Transferred } from "./transfer.ts";

export interface LinkEndOptions {
  readonly node: Node;
  /** What this node is to the other. */
  readonly role: PeerRole;
  readonly other: { readonly name: NodeName; readonly engine: Engine };
  readonly link: TopologyLink;
  readonly topology: Topology;
  readonly judge: Judge;
  readonly observer: LinkObserver;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** What is taken from the other end. */
  readonly limits?: PacketLimits;
  /** Told of each packet of the other end that was applied here. `observer.applied` tells of those that were handed on to it. */
  readonly received?: LinkObserver["applied"];
}

/** What is known of the other end while its packets are applied. */
export interface Admitted {
  /** The other node's clock minus this node's, milliseconds; null where it has not told. */
  readonly aheadMs: number | null;
  readonly state: Pick<PeerState, "hasParked">;
  /** Tables as they are there today, as far as this end has asked for them. */
  readonly shapes: readonly TableShape[];
}

/** What the other end has told, as it was heard here. */
export interface Heard extends Report {
  readonly aheadMs: number;
  /** A parent's: which rows the child is given, and held to. */
  readonly scopes: LinkScopes | undefined;
}

/** Sends what there is, again and again, to an end that says nothing meanwhile. */
export interface Sender {
  pass(options: PassOptions): Promise<Transferred>;
  /** The tick that the last pass went up to. */
  readonly position: Position;
  /** Where the other end is once it has taken all that was handed on. */
  readonly assumed: PeerState;
}

export interface SenderOptions {
  /** Where it is expected to be, if that is not where it said it is. */
  readonly assumed?: PeerState;
  /** Called in place of filling a child anew whose position the log no longer reaches back to: it is filled another way. */
  readonly leftBehind?: () => Promise<void>;
}

const NOTHING_MOVED: Transferred = { changes: 0, conflicts: 0, parked: 0, wanted: 0, waiting: false };

const IDENTITY_MS = 30_000;
/** The rows of an end that says the very same again are not looked up again for so long. */
const SAME_MS = 300_000;
/** Of a child's refused changes, so many are told in full; of the others, that they are there. */
const MOST_TOLD = 1_000;

/**
 * One end of a link whose other end is in another process: takes what the other sends, and says what is to be sent to it. Knows nothing of what carries
 * the two; an exchange over HTTP and a file on a medium are the same to it. What counts is in the node's database: another process may go on at any time.
 *
 * Both ends tell each other where they are (`report`), and send from there: a packet that got lost is made anew, one that came twice is recognised.
 */
export class LinkEnd {
  readonly #options: LinkEndOptions;
  readonly #in: Omit<Flow, "source" | "target">;
  readonly #out: Omit<Flow, "source" | "target">;
  #met = false;
  readonly #acknowledged = new Acknowledged();
  /** The rows of a child that has those that it is to have. */
  #settled: { readonly scopes: LinkScopes; readonly at: number } | undefined;
  /** Tables of which the other end wants to know how they are here. */
  #asked: readonly TableName[] = [];
  /** What of the other's word is noted in the database. */
  #noted = "";

  constructor(options: LinkEndOptions) {
    const { node, role, other, link, topology } = options;
    this.#options = options;
    const parentEngine = role === "parent" ? node.engine : other.engine;
    this.#in = flowTables({ from: role === "parent" ? "child" : "parent", parentEngine, link, topology });
    this.#out = flowTables({ from: role, parentEngine, link, topology });
  }

  /** Where this end is; `known` where that has been read a moment ago. */
  async report(known?: PeerState): Promise<Report> {
    const { node, role, other, now } = this.#options;
    await this.#meet();
    const { clockOffsetMs } = await this.#identify();
    const state = known ?? (await node.target.peer(other.name));
    const refused = role === "parent" && state.hasParked ? await node.parked.refused(other.name, MOST_TOLD) : NOTHING_REFUSED;
    const asked = state.hasParked ? await node.parked.lackingColumns(other.name) : [];
    const told = this.#asked.filter((table) => this.#out.rules.has(table));
    const shapes = told.length > 0 ? await shapesToday(node.log, told) : [];
    return { state, clockMs: now() + clockOffsetMs, refused, asked, shapes };
  }

  /**
   * Takes in what the other end has told, `delayMs` ago; before anything of it is applied, for by this a parent knows to which rows a child is held.
   * `isWhole: false` for a word that leaves things out: it is not what a file would go on from. Throws `PACKET_FORK` (operator) when the other has applied what was never sent from here, and what `Scopes.choose` throws.
   */
  async hear(report: Report, options: { readonly delayMs?: number; readonly isWhole?: boolean } = {}): Promise<Heard> {
    const { delayMs = 0, isWhole = true } = options;
    const { node, role, other, now } = this.#options;
    const heardAt = now();
    await this.#meet();
    const { clockOffsetMs } = await this.#identify();
    this.#asked = report.asked;
    const isSame = isWhole && (await this.#note(report));
    // also of one that says the same again: another that acts as it may have been heard at another process meanwhile
    await node.sent.confirm(other.name, report.state);
    const aheadMs = report.clockMs + delayMs - (heardAt + clockOffsetMs);
    if (role === "child") {
      await node.parked.noteRefused(other.name, report.refused);
      return { ...report, aheadMs, scopes: undefined };
    }
    const known = isSame && heardAt - (this.#settled?.at ?? 0) < SAME_MS ? this.#settled : undefined;
    const scopes = known?.scopes ?? this.#scopesOf();
    await scopes.prepare(report.state);
    if (known === undefined) this.#settled = scopes.isSettled ? { scopes, at: heardAt } : undefined;
    return { ...report, aheadMs, scopes };
  }

  /**
   * For an end that brings packets and tells nothing of itself, or tells what is no longer so: a child is held to all that it may have been given.
   */
  async admit({ clockMs }: { readonly clockMs: number | null }): Promise<Admitted> {
    const { node, role, other, now } = this.#options;
    const heardAt = now();
    await this.#meet();
    const { clockOffsetMs } = await this.#identify();
    if (role === "parent") await this.#scopesOf().prepare({ tables: new Set(), scopes: new Map() });
    const { hasParked } = await node.target.peer(other.name);
    return { aheadMs: clockMs === null ? null : clockMs - (heardAt + clockOffsetMs), state: { hasParked }, shapes: [] };
  }

  /** The other end's rows of these tables come from there on. */
  async start({ channel, tables, at }: TableStart): Promise<void> {
    const { node, role, other, link } = this.#options;
    const known = this.#in.groups.flat().find(({ name }) => name === channel);
    if (role !== "parent" || known === undefined || tables.some((table) => !known.tables.includes(table))) {
      throw new TomboloError(
        `${other.name} starts tables of channel ${channel} that the link ${link.parent}/${link.child} does not carry`,
        {
          code: "TABLE_NOT_IN_LINK",
          kind: "operator",
          hint: "let both sides run with the same topology",
        },
      );
    }
    await node.target.start(other.name, channel, tables, at);
  }

  /**
   * Applies what the other end sends, packet by packet, each in a transaction of its own. After one that leaves rows wanted, the rest is left alone: only
   * the last receipt is kept, so the other end must hear of it before it goes on. `bytes` are read while the transaction is open (see `spooled`).
   * Throws what `decodePacket` and `Target.apply` throw, and `PACKET_STRANGER` (operator) for a packet that is not from one end to the other.
   */
  async receive(
    packets: AsyncIterable<AsyncIterable<Uint8Array>>,
    heard: Admitted,
    options: {
      /** Throws for one that is not to be applied. */
      readonly expected?: (header: PacketHeader) => void | Promise<void>;
      readonly applied?: (receipt: Receipt, header: PacketHeader) => void;
    } = {},
  ): Promise<readonly Receipt[]> {
    const receipts: Receipt[] = [];
    for await (const bytes of packets) {
      const sizes = { raw: 0, compressed: 0 };
      const packet = await this.#read(bytes, sizes);
      await options.expected?.(packet.header);
      const oldest = { changedAt: Number.POSITIVE_INFINITY };
      const seen: Packet = { header: packet.header, parts: once(() => watched(packet.parts, oldest)), digest: () => packet.digest() };
      const started = this.#options.now();
      const receipt = await this.#options.node.target.apply(seen, this.#context(heard, await this.#identify()));
      receipts.push(receipt);
      options.applied?.(receipt, packet.header);
      this.#received({ heard, receipt, kind: packet.header.kind, sizes, started, oldest: oldest.changedAt });
      if (receipt.wanted.length > 0) break;
    }
    return receipts;
  }

  #received(told: {
    readonly heard: Admitted;
    readonly receipt: Receipt;
    readonly kind: AppliedEvent["kind"];
    readonly sizes: PacketSizes;
    readonly started: number;
    readonly oldest: number;
  }): void {
    const { node, other, link, now, received } = this.#options;
    if (received === undefined) return;
    const { heard, receipt, kind, sizes, started, oldest } = told;
    // by the other's clock, which is ahead by that much
    const age = Number.isFinite(oldest) ? now() - oldest / 1000 + (usableOffset(heard.aheadMs) ?? 0) : null;
    received({
      ...{ source: other.name, target: node.name, parent: link.parent, child: link.child, kind, receipt },
      ...{ rawBytes: sizes.raw, compressedBytes: sizes.compressed, applySeconds: (now() - started) / 1000, partChanges: null },
      lagSeconds: age === null ? null : Math.max(0, age) / 1000,
    });
  }

  async #read(bytes: AsyncIterable<Uint8Array>, sizes: PacketSizes): Promise<Packet> {
    const { node, other, limits = NODE_LIMITS } = this.#options;
    const packet = await decodePacket(bytes, limits, sizes);
    if (packet.header.source === other.name && packet.header.target === node.name) return packet;
    throw new TomboloError(`a packet that ${other.name} brought is not from it to ${node.name}`, {
      code: "PACKET_STRANGER",
      kind: "operator",
      hint: "give each node a name and an enrolment of its own",
    });
  }

  /** Tries what is set aside of the other's changes, as far as it is due; answers how many went through. */
  async retryParked(heard: Admitted, options: { readonly all?: boolean } = {}): Promise<number> {
    const { node, other } = this.#options;
    const { hasParked } = await node.target.peer(other.name);
    return hasParked
      ? node.target.retryParked(other.name, this.#context(heard, await this.#identify()), { ...options, now: heard.shapes })
      : 0;
  }

  /**
   * What the other end does not have yet goes to the carrier, beginning from where it said it is, or from where it is `assumed` to be once it
   * has taken what is on its way. Only what it said is acknowledged.
   */
  async sender(heard: Heard, carrier: Carrier, { assumed = heard.state, leftBehind }: SenderOptions = {}): Promise<Sender> {
    const { node, other, link, topology, observer, now } = this.#options;
    const { batch } = topology;
    const codec = batch.compression;
    const identity = await this.#identify();
    const sealed = ({ number }: PacketHeader, digest: string): Promise<void> => node.sent.note(other.name, { number, digest });
    const { state: said, refused } = heard;
    const relay = new Relay({ name: other.name, engine: other.engine, state: assumed, confirmed: said, refused, carrier, codec, sealed });
    const flow: Flow = { source: node, target: relay, ...this.#out };
    const bounds = { maxRows: batch.maxRows, maxBytes: batch.maxBytes };
    const { scopes } = heard;
    const transfer = new Transfer({
      flow,
      parent: link.parent,
      child: link.child,
      bounds,
      codec,
      observer,
      now,
      ...(scopes && { scopes }),
      acknowledged: this.#acknowledged,
    });
    const context = this.#context(heard, identity);
    return {
      async pass(options) {
        try {
          return await transfer.pass(identity.epoch, context, options);
        } catch (error) {
          if (scopes === undefined || !isLeftBehind(error)) throw error;
          if (leftBehind !== undefined) {
            await leftBehind();
            return NOTHING_MOVED;
          }
          await fillAnew(flow, { scopes, epoch: identity.epoch, context, bounds });
          transfer.reset();
          return transfer.pass(identity.epoch, context, options);
        }
      },
      get position() {
        return transfer.position;
      },
      get assumed() {
        return relay.state;
      },
    };
  }

  /** Answers whether it is the same as was said before. */
  async #note(report: Report): Promise<boolean> {
    const json = reportJson(report);
    const said = JSON.stringify([json.state, json.refused]);
    if (said === this.#noted) return true;
    this.#noted = "";
    await this.#options.node.media.noteTold(this.#options.other.name, JSON.stringify(json));
    this.#noted = said;
    return false;
  }

  #context(heard: Admitted, { clockOffsetMs }: NodeIdentity): ApplyContext {
    const { judge, now } = this.#options;
    return {
      from: this.#in.from,
      rules: this.#in.rules,
      judge,
      clockOffsetMs: usableOffset(heard.aheadMs),
      nowMs: now() + clockOffsetMs,
      parkedAtSource: heard.state.hasParked,
    };
  }

  #scopesOf(): LinkScopes {
    const { node, other, link, topology } = this.#options;
    return new LinkScopes({ parent: node, child: other.name, tables: scopedTables({ parent: node, link, topology }) });
  }

  async #meet(): Promise<void> {
    if (this.#met) return;
    const { node, role, other } = this.#options;
    await node.target.meet([{ name: other.name, role: role === "parent" ? "child" : "parent" }]);
    this.#met = true;
  }

  #identify(): Promise<NodeIdentity> {
    const { node, now } = this.#options;
    return identityOf(node, { now: now(), atMostMs: IDENTITY_MS });
  }
}
