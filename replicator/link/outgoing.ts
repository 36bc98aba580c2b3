import type { Change } from "../change/change.ts";
import { earlier, type Position, type TableName } from "../change/names.ts";
import type { Part } from "../change/packet.ts";
import { readAhead } from "../change/read-ahead.ts";
import type { RowFilter } from "../change/row-filter.ts";
import type { Tick } from "../node/change-log.ts";
import type { PeerState } from "../node/target.ts";
import type { Flow, FlowChannel } from "./flow.ts";
import { foldedParts } from "./folded.ts";
import type { Bounds } from "./start-tables.ts";

/** Tables that are read from the same position. */
interface Stretch {
  readonly after: Position;
  readonly tables: readonly TableName[];
}

/** What a group of channels has to say to the target up to a tick. */
export interface Outgoing {
  /** The tables in the order in which the changes refer to them. */
  readonly tables: readonly TableName[];
  readonly after: Position;
  readonly parts: AsyncIterable<Part>;
}

/** Folded changes of the group between what the target has and the tick. */
export function outgoing(options: {
  readonly flow: Flow;
  readonly channels: readonly FlowChannel[];
  readonly state: PeerState;
  readonly tick: Tick;
  readonly bounds: Bounds;
  /** Where reading may begin although the target's own position is lower: nothing for it lies between. */
  readonly knownEmptyTo: Position;
  /** The rows that the target is given, of tables of which it is not given all. */
  readonly filters?: ReadonlyMap<TableName, RowFilter>;
}): Outgoing {
  const { flow, channels, state, tick, bounds, knownEmptyTo, filters } = options;
  const stretches = stretchesOf(channels, state, knownEmptyTo).filter((stretch) => stretch.after < tick.position);
  const tables = stretches.flatMap((stretch) => stretch.tables);
  const oneWay = channels.every((channel) => !channel.bothWays);
  const wholeImages = new Set(tables.flatMap((table, index) => (flow.from === "child" && flow.filtered.has(table) ? [index] : [])));
  async function* parts(): AsyncGenerator<Part> {
    let offset = 0;
    for (const { after, tables: own } of stretches) {
      const request = { reader: flow.target.name, tables: own, after, upTo: tick.position, ...bounds, ...(filters && { filters }) };
      for await (const group of readAhead(flow.source.log.read(request))) {
        yield* foldedParts(shifted(group, offset), { oneWay, wholeImages });
      }
      offset += own.length;
    }
  }
  const after = channels.reduce<Position>((lowest, { name }) => {
    const at = state.channels.get(name)?.position ?? tick.position;
    return earlier(at, lowest);
  }, tick.position);
  return { tables, after, parts: parts() };
}

function stretchesOf(channels: readonly FlowChannel[], state: PeerState, knownEmptyTo: Position): Stretch[] {
  const byPosition = new Map<Position, TableName[]>();
  for (const channel of channels) {
    const progress = state.channels.get(channel.name);
    if (progress === undefined) continue;
    for (const table of channel.tables) {
      const own = progress.ahead.get(table) ?? progress.position;
      const at = own < knownEmptyTo ? knownEmptyTo : own;
      byPosition.set(at, [...(byPosition.get(at) ?? []), table]);
    }
  }
  return [...byPosition.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([after, tables]) => ({ after, tables }));
}

const shifted = (group: readonly Change[], offset: number): readonly Change[] =>
  offset === 0 ? group : group.map((change) => ({ ...change, table: change.table + offset }));
