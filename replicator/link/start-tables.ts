import type { Change } from "../change/change.ts";
import { TomboloError } from "../change/error.ts";
import { foldGroup } from "../change/fold.ts";
import {
  type ChannelName,
  type Epoch,
  earlier,
  type PacketNumber,
  type Position,
  packetNumber,
  type ScopeNumber,
  type TableName,
} from "../change/names.ts";
import type { PacketHeader, Part, Receipt } from "../change/packet.ts";
import { packet } from "../change/packet-seal.ts";
import type { RowFilter } from "../change/row-filter.ts";
import { sealedAsOf, type Tick } from "../node/change-log.ts";
import type { FillScope, TableSnapshot } from "../node/table-reader.ts";
import { mustHaveStarted } from "../node/table-starts.ts";
import type { ApplyContext, PeerState } from "../node/target.ts";
import type { Flow, FlowChannel } from "./flow.ts";
import type { LinkScopes } from "./link-scopes.ts";
import type { Pace } from "./pace.ts";

export interface Bounds {
  readonly maxRows: number;
  readonly maxBytes: number;
}

/** Tables of the group that the target does not receive yet. */
export const newTables = (channels: readonly FlowChannel[], state: PeerState): TableName[] =>
  channels.flatMap((channel) => channel.tables.filter((table) => !state.tables.has(table)));

/**
 * Upward, a table starts with the rows that the child already holds: they go into the child's log, for the parent to judge
 * like any change. Throws `PACKET_FORK` (operator) where the parent has tables that were started by a copy of the child.
 */
export async function startUp(flow: Flow, channels: readonly FlowChannel[], state: PeerState): Promise<void> {
  if (state.number === 0n && state.tables.size > 0) {
    const marks = await flow.source.rejoin.marks(flow.target.name);
    if (marks !== null) for (const { name, tables } of channels) mustHaveStarted(flow.source.name, state, marks, { channel: name, tables });
  }
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
    readonly pace: Pace;
    readonly scopes: LinkScopes;
    /** The log no longer reaches back far enough to tell which of the child's rows the parent has deleted. */
    readonly deletesUnknown: () => void;
  },
): Promise<Receipt> {
  const { source, target } = flow;
  const { tables, scopes } = options;
  const numbers = await scopes.numbers(tables);
  const snapshot = await source.tables.open(tables, scopes.first(tables));
  try {
    const header = await fillHeader(flow, { ...options, tick: snapshot.tick, numbers });
    const receipt = await target.target.apply(
      packet({ header, parts: options.pace.cut(contents(flow, snapshot, options)) }),
      options.context,
    );
    await scopes.arrived(numbers, target.relayed === undefined);
    return receipt;
  } finally {
    await snapshot.close();
  }
}

/** The header of a packet that fills tables as they are at a tick. `numbers`: the scopes that the target is at afterwards. */
export async function fillHeader(
  { source, target }: Flow,
  fill: {
    readonly tables: readonly TableName[];
    readonly state: PeerState;
    readonly epoch: Epoch;
    readonly tick: Tick;
    readonly numbers: ReadonlyMap<TableName, ScopeNumber>;
  },
): Promise<PacketHeader> {
  const { state, tick, numbers } = fill;
  const shapes = await source.log.shapes(fill.tables);
  const channels = channelsOf(shapes.map((shape) => shape.channel));
  return {
    protocol: 1,
    source: source.name,
    target: target.name,
    epoch: fill.epoch,
    number: nextNumber(state.number),
    previous: state.digest,
    kind: "fill",
    channels,
    after: tick.position,
    upTo: tick.position,
    ...sealedAsOf(tick),
    tables: shapes,
    seen: seenOf(tick.seen[target.name], channels),
    ...(numbers.size > 0 && { scopes: fill.tables.map((table) => numbers.get(table) ?? null) }),
  };
}

type Contents = Pick<Parameters<typeof fillDown>[1], "tables" | "bounds" | "scopes" | "deletesUnknown">;

/** The log is gone, or a filter fails on what it holds. */
const TELLS_NOTHING = new Set(["POSITION_UNKNOWN", "FILTER_FAILED"]);

/** First the rows that are gone, then those that are there. */
async function* contents(flow: Flow, snapshot: TableSnapshot, options: Contents): AsyncGenerator<Part> {
  try {
    yield* gone(flow, snapshot, options);
  } catch (error) {
    if (!(error instanceof TomboloError) || !TELLS_NOTHING.has(error.code)) throw error;
    options.deletesUnknown();
  }
  yield* snapshot.rows(options.bounds.maxRows, options.bounds.maxBytes);
}

/**
 * Rows that came from the child, or that it may have, and that the parent has deleted before the fill's cut: no row of the fill
 * tells of them.
 */
async function* gone({ source, target }: Flow, snapshot: TableSnapshot, { tables, bounds, scopes }: Contents): AsyncGenerator<Part> {
  const { startedAt } = await source.target.peer(target.name);
  const started = tables.filter((table) => startedAt.has(table));
  if (started.length === 0) return;
  const after = started.map((table) => startedAt.get(table) as Position).reduce(earlier);
  const filters = filtersOf(scopes.first(started));
  const request = { reader: target.name, tables: started, after, upTo: snapshot.tick.position, ...bounds, filters };
  for await (const group of source.log.read(request)) {
    const deleted = foldGroup(group).filter(({ op, new: now }) => op === "D" || (op === "R" && now === null));
    const index = (change: Change): number => tables.indexOf(started[change.table] as TableName);
    if (deleted.length > 0) yield deleted.map((change): Change => ({ ...change, table: index(change), op: "R", old: null }));
  }
}

const filtersOf = (scopes: ReadonlyMap<TableName, FillScope>): ReadonlyMap<TableName, RowFilter> =>
  new Map([...scopes].flatMap(([table, { rows }]) => (rows === null ? [] : [[table, rows] as const])));

export const nextNumber = (number: PacketNumber): PacketNumber => packetNumber(number + 1n);

/** Only of the channels that the packet is about: of the others it says nothing, so it must not say how much of them was applied. */
export const seenOf = (seen: PacketHeader["seen"] = {}, channels: readonly ChannelName[]): PacketHeader["seen"] =>
  Object.fromEntries(Object.entries(seen).filter(([channel]) => channels.some((name) => name === channel)));

const channelsOf = (names: readonly ChannelName[]): ChannelName[] => [...new Set(names)];
