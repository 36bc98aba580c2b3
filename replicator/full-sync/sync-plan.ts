import { TomboloError } from "../change/error.ts";
import type { ChannelName, NodeName, TableName } from "../change/names.ts";
import type { RowFilter } from "../change/row-filter.ts";
import { type Flow, flows, scopedTables } from "../link/flow.ts";
import { LinkScopes } from "../link/link-scopes.ts";
import type { CopiedTable } from "../node/full-copy.ts";
import type { SyncDirection } from "../node/full-sync-runs.ts";
import type { Node } from "../node/node.ts";
import type { Topology, TopologyLink } from "../topology/topology.ts";
import { localSource, type SyncSource, type SyncTarget } from "./sync-ends.ts";

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
    target,
    flow,
    tables,
    channels: [...new Set(shapes.map(({ channel }) => channel))],
    copied: shapes.map((shape) => ({ shape, rows: rows.get(shape.table) ?? null })),
    within: direction === "pull" ? new Map() : new Map([...scopes.current()].filter(([table]) => tables.includes(table))),
  };
}

function wantedRows(scopes: LinkScopes, tables: readonly TableName[]): ReadonlyMap<TableName, RowFilter> {
  return new Map([...scopes.first(tables)].flatMap(([table, { rows }]) => (rows === null ? [] : [[table, rows] as const])));
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
