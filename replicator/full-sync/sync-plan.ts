import { TomboloError } from "../change/error.ts";
import type { ChannelName, NodeName, TableName } from "../change/names.ts";
import type { RowFilter } from "../change/row-filter.ts";
import { type Flow, flows, scopedTables } from "../link/flow.ts";
import { LinkScopes } from "../link/link-scopes.ts";
import type { CopiedTable } from "../node/full-copy.ts";
import type { SyncDirection } from "../node/full-sync-runs.ts";
import type { Node } from "../node/node.ts";
import type { Topology, TopologyLink } from "../topology/topology.ts";
import { localSource, localTarget, type SyncSource, type SyncTarget } from "./sync-ends.ts";

/** What a full sync is about. */
export interface SyncPlan {
  readonly direction: SyncDirection;
  readonly source: SyncSource;
  readonly target: SyncTarget;
  /** Of the direction in which the rows go. */
  readonly flow: Pick<Flow, "groups" | "rules">;
  readonly tables: readonly TableName[];
  readonly channels: readonly ChannelName[];
  readonly copied: readonly CopiedTable[];
  /** Of the target's tables: the rows that it is about, where that is not all. */
  readonly within: ReadonlyMap<TableName, RowFilter>;
  /** As in `HandOver`. */
  readonly collected: ReadonlySet<TableName>;
}

/** Throws `FULL_SYNC_TABLES` (usage) where nothing travels in this direction, or not what was asked for. */
export async function planSync(options: {
  readonly parent: Node;
  readonly child: Node;
  readonly link: TopologyLink;
  readonly topology: Topology;
  readonly direction: SyncDirection;
  readonly tables: readonly TableName[] | null;
}): Promise<SyncPlan> {
  const { parent, child, direction } = options;
  const { up, down } = flows(options);
  const [flow, source, target] = direction === "pull" ? [down, parent, child] : [up, child, parent];
  await parent.target.meet([{ name: child.name, role: "child" }]);
  await child.target.meet([{ name: parent.name, role: "parent" }]);
  const tables = chosenTables({ groups: flow.groups, source: source.name, target: target.name }, options.tables);
  const scopes = new LinkScopes({ parent, child: child.name, tables: scopedTables(options) });
  await scopes.prepare(await child.target.peer(parent.name));
  const rows = direction === "pull" ? wantedRows(scopes, tables) : new Map<TableName, RowFilter>();
  const shapes = await source.log.shapes(tables);
  return {
    direction,
    source: localSource(source, { target: target.name, scopes: direction === "pull" ? scopes : null, tables }),
    target: localTarget(target),
    flow,
    tables,
    channels: [...new Set(shapes.map(({ channel }) => channel))],
    copied: shapes.map((shape) => ({ shape, rows: rows.get(shape.table) ?? null })),
    within: direction === "pull" ? new Map() : new Map([...scopes.current()].filter(([table]) => tables.includes(table))),
    collected: direction === "pull" ? new Set() : collectedTables(options.topology, options.link, scopes.current()),
  };
}

function wantedRows(scopes: LinkScopes, tables: readonly TableName[]): ReadonlyMap<TableName, RowFilter> {
  return new Map([...scopes.first(tables)].flatMap(([table, { rows }]) => (rows === null ? [] : [[table, rows] as const])));
}

/** Tables that only travel up, whole, and not from this child alone: nobody can tell whose a row is that this one does not have. */
export function collectedTables(
  { channels, links, groups }: Topology,
  link: TopologyLink,
  filtered: ReadonlyMap<TableName, RowFilter>,
): ReadonlySet<TableName> {
  const brings = (used: TopologyLink["channels"], name: ChannelName): boolean =>
    used.some((channel) => channel.name === name && channel.direction !== "down");
  const collected = link.channels.filter(
    ({ name, direction }) =>
      direction === "up" &&
      (links.some((other) => other.parent === link.parent && other.child !== link.child && brings(other.channels, name)) ||
        groups.some((group) => group.parent === link.parent && brings(group.channels, name))),
  );
  const tables = collected.flatMap(({ name }) => channels.find((channel) => channel.name === name)?.tables ?? []);
  return new Set(tables.flatMap((table) => (filtered.has(table.name) ? [] : [table.name])));
}

/** Throws `FULL_SYNC_TABLES` (usage). */
export function chosenTables(
  flow: Pick<Flow, "groups"> & { readonly source: NodeName; readonly target: NodeName },
  wanted: readonly TableName[] | null,
): readonly TableName[] {
  const all = flow.groups.flatMap((channels) => channels.flatMap(({ tables }) => tables));
  const unknown = (wanted ?? []).filter((table) => !all.includes(table));
  if (all.length > 0 && unknown.length === 0) return wanted === null ? all : all.filter((table) => wanted.includes(table));
  const way = `from ${flow.source} to ${flow.target}`;
  throw new TomboloError(all.length === 0 ? `no table travels ${way}` : `${unknown.join(", ")} does not travel ${way}`, {
    code: "FULL_SYNC_TABLES",
    kind: "usage",
    hint: all.length === 0 ? "Look at the directions of the link's channels." : `What travels is ${all.join(", ")}.`,
  });
}
