import { filterParams, filterText } from "../change/filter-text.ts";
import type { Engine } from "../change/shape.ts";
import { called, type Draft, type DraftGroup, type DraftLink, type DraftTable } from "./draft.ts";
import type { Fault } from "./source.ts";

/** Filters: each one condition, as far as its text shows, and with all the parameters that it uses. What else they must be the databases say. */
export function checkFilters(draft: Draft): Fault[] {
  const users = [...draft.links, ...draft.groups];
  const broken = draft.channels.flatMap(({ tables }) => tables).flatMap((table) => textFault(draft, table));
  return [...broken, ...users.flatMap((user) => missingParams(draft, user))];
}

/** A filter is read as by the nodes that choose rows with it: the parents of the links that its table travels on. */
function textFault(draft: Draft, table: DraftTable): Fault[] {
  if (table.filter === undefined) return [];
  for (const engine of new Set(parentsOf(draft, table))) {
    const { problem } = filterText(table.filter.text, engine);
    if (problem === null) continue;
    const message = `The filter of ${called(table)} is not one condition: ${problem}.`;
    return [{ ...table.filter.place, code: "FILTER_INVALID", message, hint: "Write a condition on the table's columns: region = :region" }];
  }
  return [];
}

function parentsOf(draft: Draft, table: DraftTable): Engine[] {
  const channel = draft.channels.find(({ tables }) => tables.includes(table))?.name?.text;
  const users = [...draft.links, ...draft.groups].filter(({ channels }) => channels.some((use) => use.channel?.text === channel));
  return users.length === 0 ? ["postgres"] : users.map((user) => parentEngine(draft, user));
}

const parentEngine = (draft: Draft, user: DraftLink | DraftGroup): Engine =>
  draft.nodes.find(({ name }) => name?.text === user.parent?.text)?.type === "sqlite" ? "sqlite" : "postgres";

/** A link that gives no parameters at all takes every row; one that gives some must give all that its filters use. */
function missingParams(draft: Draft, user: DraftLink | DraftGroup): Fault[] {
  if ("child" in user && user.params?.size === 0) return [];
  const faults: Fault[] = [];
  const said = new Set<string>();
  for (const use of user.channels) {
    const channel = draft.channels.find((candidate) => candidate.name !== undefined && candidate.name.text === use.channel?.text);
    for (const table of channel?.tables ?? []) {
      for (const param of filterParams(table.filter?.text ?? "", parentEngine(draft, user))) {
        if (user.params === undefined || user.params.has(param) || said.has(param) || !use.channel) continue;
        said.add(param);
        // the parameter's name is a part of a filter that a variable may have brought
        const shown = table.filter?.literal ? `\`:${param}\`` : "a parameter";
        const message = `The filter of ${called(table)} uses ${shown}, which is not given here.`;
        const hint = "child" in user ? "Add it to the link's `params`." : "Add it to the group's `params`.";
        faults.push({ ...use.channel.place, code: "FILTER_PARAM_MISSING", message, hint });
      }
    }
  }
  return faults;
}
