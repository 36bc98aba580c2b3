import { filterParams } from "../change/filter-text.ts";
import type { TableName } from "../change/names.ts";
import type { FilterForm, RowFilter } from "../change/row-filter.ts";
import type { Engine } from "../change/shape.ts";
import type { Topology, TopologyGroup, TopologyLink, TopologyTable } from "./topology.ts";

/**
 * Which rows of a table a link carries; null for all of them. A filter with parameters counts where the link gives parameters; one without
 * always does. `engine` is the parent's.
 */
export function rowFilterOf(table: TopologyTable, link: TopologyLink, engine: Engine): RowFilter | null {
  if (table.filter === null) return null;
  const names = filterParams(table.filter, engine);
  if (names.length > 0 && Object.keys(link.params).length === 0) return null;
  const given = names.filter((name) => Object.hasOwn(link.params, name));
  return { text: table.filter, params: Object.fromEntries(given.map((name) => [name, link.params[name] as string])) };
}

/** Which rows of a table each edge of a group is given, as far as that is known before it enrols; null for all of them. */
export function filterFormOf(table: TopologyTable, group: TopologyGroup): FilterForm | null {
  if (table.filter === null) return null;
  return { text: table.filter, params: Object.fromEntries(group.params.map((name) => [name, null])) };
}

/** The filters of all tables of a link, by table. */
export function rowFiltersOf(topology: Topology, link: TopologyLink, engine: Engine): ReadonlyMap<TableName, RowFilter> {
  const carried = new Set(link.channels.map(({ name }) => name));
  const tables = topology.channels.filter(({ name }) => carried.has(name)).flatMap((channel) => channel.tables);
  return new Map(
    tables.flatMap((table) => {
      const filter = rowFilterOf(table, link, engine);
      return filter === null ? [] : [[table.name, filter] as const];
    }),
  );
}
