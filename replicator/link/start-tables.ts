import { type ChannelName, type Epoch, type PacketNumber, packetNumber, type TableName } from "../change/names.ts";
import type { PacketHeader, Receipt } from "../change/packet.ts";
import { packet } from "../change/packet-seal.ts";
import type { ApplyContext, PeerState } from "../node/target.ts";
import type { Flow, FlowChannel } from "./flow.ts";

export interface Bounds {
  readonly maxRows: number;
  readonly maxBytes: number;
}

/** Tables of the group that the target does not receive yet. */
export const newTables = (channels: readonly FlowChannel[], state: PeerState): TableName[] =>
  channels.flatMap((channel) => channel.tables.filter((table) => !state.tables.has(table)));

/**
 * Upward, a table starts with the rows that the child already holds: they go into the child's log, for the parent to judge
 * like any change.
 */
export async function startUp(flow: Flow, channels: readonly FlowChannel[], state: PeerState): Promise<void> {
  for (const channel of channels) {
    const tables = channel.tables.filter((table) => !state.tables.has(table));
    if (tables.length === 0) continue;
    const at = await flow.source.tables.seed(flow.target.name, tables);
    await flow.target.target.start(flow.source.name, channel.name, tables, at);
  }
}

/** Downward, a table starts as a copy of the parent's at one tick, in one packet, while writes go on. */
export async function fillDown(
  flow: Flow,
  options: {
    readonly tables: readonly TableName[];
    readonly state: PeerState;
    readonly epoch: Epoch;
    readonly context: ApplyContext;
    readonly bounds: Bounds;
  },
): Promise<Receipt> {
  const { source, target } = flow;
  const { tables, state, bounds } = options;
  const shapes = await source.log.shapes(tables);
  const snapshot = await source.tables.open(tables);
  try {
    const header: PacketHeader = {
      protocol: 1,
      source: source.name,
      target: target.name,
      epoch: options.epoch,
      number: nextNumber(state.number),
      previous: state.digest,
      kind: "fill",
      channels: channelsOf(shapes.map((shape) => shape.channel)),
      after: snapshot.tick.position,
      upTo: snapshot.tick.position,
      tables: shapes,
      seen: snapshot.tick.seen[target.name] ?? {},
    };
    return await target.target.apply(packet({ header, parts: snapshot.rows(bounds.maxRows, bounds.maxBytes) }), options.context);
  } finally {
    await snapshot.close();
  }
}

export const nextNumber = (number: PacketNumber): PacketNumber => packetNumber(number + 1n);

const channelsOf = (names: readonly ChannelName[]): ChannelName[] => [...new Set(names)];
