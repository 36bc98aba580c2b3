import type { ChannelName, NodeName, Position, TableName } from "../change/names.ts";
import type { Packet, PacketHeader, Part, Receipt } from "../change/packet.ts";
import { encodePacket } from "../change/packet-codec.ts";
import type { Codec, PacketSizes } from "../change/packet-compression.ts";
import { once } from "../change/packet-seal.ts";
import type { Engine } from "../change/shape.ts";
import type { RefusedChanges } from "../node/parked-desk.ts";
import type { PeerState } from "../node/target.ts";
import { afterPacket, afterStart } from "./peer-progress.ts";
import type { Receiver, Relayed } from "./receiver.ts";

/** What takes a relay's packets to the other process: a request, an answer, a file. */
export interface Carrier {
  /** These tables are read from `at` on; always before the first packet. */
  start(start: TableStart): Promise<void>;
  /** Called for one packet after the other; must take `bytes` to their end, or throw. */
  packet(header: PacketHeader, bytes: AsyncIterable<Buffer>): Promise<void>;
}

export interface TableStart {
  readonly channel: ChannelName;
  readonly tables: readonly TableName[];
  readonly at: Position;
}

export interface RelayOptions {
  readonly name: NodeName;
  readonly engine: Engine;
  /** What the node has said of itself, as far as the source's packets are concerned. */
  readonly state: PeerState;
  /** What of it counts as received; all of it where it is missing. */
  readonly confirmed?: PeerState;
  readonly carrier: Carrier;
  readonly codec: Codec;
  /** What the node, where it is the parent, has said of changes that it set aside. */
  readonly refused?: RefusedChanges;
  /** Told the digest of a packet before its end is handed on: without its end nobody can have applied it. */
  readonly sealed?: (header: PacketHeader, digest: string) => Promise<void>;
}

/**
 * The receiving end of a flow whose node is out of reach: hands packets on as bytes, one after the other, as if each had been applied. What became of them
 * is known when the node next tells its state; a packet that got lost is then made anew, for nothing of it was acknowledged.
 */
export class Relay implements Receiver {
  readonly name: NodeName;
  readonly engine: Engine;
  readonly target: Receiver["target"];
  readonly parked: Receiver["parked"];
  readonly relayed: Relayed;
  readonly #options: RelayOptions;
  #state: PeerState;
  #sizes: PacketSizes = { raw: 0, compressed: 0 };

  constructor(options: RelayOptions) {
    this.name = options.name;
    this.engine = options.engine;
    this.#options = options;
    this.#state = options.state;
    this.target = {
      peer: async () => this.#state,
      start: (_, channel, tables, at) => this.#start({ channel, tables, at }),
      apply: (packet) => this.#handOn(packet),
      // the node does that by itself, when it is told to
      retryParked: async () => 0,
    };
    this.parked = { refused: async () => options.refused ?? { total: 0, changes: [] } };
    this.relayed = { confirmed: () => options.confirmed ?? options.state, sizes: async () => this.#sizes };
  }

  /** Where the node is once it has applied all that was handed on. */
  get state(): PeerState {
    return this.#state;
  }

  async #start(start: TableStart): Promise<void> {
    await this.#options.carrier.start(start);
    this.#state = afterStart(this.#state, start.channel, start.tables, start.at);
  }

  async #handOn({ header, parts, digest }: Packet): Promise<Receipt> {
    const { carrier, codec, sealed } = this.#options;
    const applied = { insert: 0, update: 0, delete: 0, truncate: 0, refresh: 0 };
    const sizes: PacketSizes = { raw: 0, compressed: 0 };
    const counting = once(() => counted(parts, applied));
    const beforeEnd = async (): Promise<void> => sealed?.(header, digest());
    await carrier.packet(header, encodePacket({ header, parts: counting, digest }, codec, { sizes, beforeEnd }));
    this.#sizes = sizes;
    this.#state = { ...afterPacket(this.#state, header, digest()), wanted: [] };
    return { number: header.number, digest: digest(), duplicate: false, applied, conflicts: [], parked: 0, wanted: [] };
  }
}

const NAMES = { I: "insert", U: "update", D: "delete", T: "truncate", R: "refresh" } as const;

async function* counted(parts: AsyncIterable<Part>, applied: { [op in (typeof NAMES)[keyof typeof NAMES]]: number }): AsyncGenerator<Part> {
  for await (const part of parts) {
    for (const { op } of part) applied[NAMES[op]] += 1;
    yield part;
  }
}
