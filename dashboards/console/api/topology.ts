import { useLoad } from "../load.ts";
import { get } from "./client.ts";
import type { Topology } from "./desk-types.ts";

/** The names that filters and forms offer; null until the hub has answered. */
export const useTopology = (): Topology | null => useLoad((signal) => get<Topology>("/v1/topology", { signal }), []).data;

/** Names as the options of a select. */
export const asOptions = (names: readonly string[]): readonly (readonly [string, string])[] => names.map((name) => [name, name]);

export const tableNames = (topology: Topology | null): readonly string[] =>
  (topology?.channels ?? []).flatMap(({ tables }) => tables.map(({ name }) => name)).sort();
