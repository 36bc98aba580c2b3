import { type TableName, tableName } from "../change/names.ts";
import type { KeyRange } from "../node/digest.ts";
import type { ReconcileScope } from "../node/reconcile-desk.ts";
import { DELETE_GUARD, type DeleteGuard } from "../reconcile/delete-guard.ts";
import type { ReconcileOptions } from "../reconcile/reconcile-link.ts";
import type { Topology, TopologyLink } from "../topology/topology.ts";
import { chosenLinks } from "./chosen-links.ts";
import { count, oneOf, optionInvalid } from "./option-values.ts";
import { flag, list, text, type VerbInput } from "./verb.ts";

export type ReconcileChoice = Pick<ReconcileOptions, "repair" | "scope" | "tables" | "range" | "sample" | "pace" | "guard"> & {
  readonly links: readonly TopologyLink[];
};

/** What the options ask for. Throws `OPTION_INVALID` and `LINK_UNKNOWN` (usage). */
export function reconcileChoice(topology: Topology, input: VerbInput): ReconcileChoice {
  const links = chosenLinks(topology, text(input, "link"));
  const tables = chosenTables(topology, links, list(input, "table"));
  const range = text(input, "range");
  if (range !== undefined && tables?.length !== 1) {
    throw optionInvalid("--range is about the keys of one table", "Name the table with --table as well.");
  }
  const sample = text(input, "sample");
  const pace = text(input, "pace");
  const scope = scopeOf(input);
  if (scope === "changed" && (range !== undefined || sample !== undefined))
    throw optionInvalid("--changed says itself which rows are compared", "Leave --range and --sample out.");
  return {
    links: tables === null ? links : links.filter((link) => carried(topology, link).some((table) => tables.includes(table))),
    tables,
    repair: oneOf("repair", text(input, "repair") ?? "report", ["report", "parent", "newest"] as const),
    scope,
    guard: guardOf(input),
    ...(range !== undefined && { range: keyRange(range) }),
    ...(sample !== undefined && { sample: percent(sample) }),
    ...(pace !== undefined && { pace: count("pace", pace, 100) }),
  };
}

const carried = (topology: Topology, link: TopologyLink): TableName[] => {
  const names = new Set(link.channels.map(({ name }) => name));
  return topology.channels.filter(({ name }) => names.has(name)).flatMap((channel) => channel.tables.map(({ name }) => name));
};

function chosenTables(topology: Topology, links: readonly TopologyLink[], names: readonly string[]): TableName[] | null {
  if (names.length === 0) return null;
  const known = [...new Set(links.flatMap((link) => carried(topology, link)))];
  for (const name of names) {
    if (!known.some((table) => table === name))
      throw optionInvalid(`no link carries a table ${name}`, `The tables are ${known.join(", ")}.`);
  }
  return names.map(tableName);
}

export const scopeOf = (input: VerbInput): ReconcileScope => (flag(input, "changed") ? "changed" : "all");

export function guardOf(input: VerbInput): DeleteGuard {
  if (flag(input, "yes")) return { ...DELETE_GUARD, maxRows: null };
  const given = text(input, "maxDeletes");
  return given === undefined ? DELETE_GUARD : { maxRows: count("max-deletes", given, Number.MAX_SAFE_INTEGER), maxPercent: 100 };
}

/** `1000..2000`, half-open; either end may be missing, and a key of several columns is a JSON array. */
function keyRange(given: string): KeyRange {
  const [from, to, more] = given.split("..");
  if (from === undefined || to === undefined || more !== undefined || (from === "" && to === "")) {
    throw optionInvalid(`--range cannot be ${given}`, "Write FROM..TO, without TO itself: 1000..2000, 1000.., ..2000.");
  }
  return { from: keyText(from), to: keyText(to) };
}

function keyText(end: string): string | null {
  if (end === "") return null;
  if (!end.startsWith("[")) return JSON.stringify([end]);
  try {
    return JSON.stringify((JSON.parse(end) as unknown[]).map(String));
  } catch {
    throw optionInvalid(`--range has an end that is no JSON: ${end}`, 'Write a key of several columns as ["3","17"].');
  }
}

function percent(given: string): number {
  const value = Number(given.replace(/%$/, ""));
  if (value > 0 && value <= 100) return value / 100;
  throw optionInvalid(`--sample cannot be ${given}`, "Write a percentage: 5, or 0.5%.");
}
