import type { RunVerb, VerbOption } from "./verb.ts";

/** Which edge a verb acts on, instead of on a topology. */
export const EDGE_OPTIONS: readonly VerbOption[] = [
  { flags: "--database <file>", description: "of an enrolled edge: this database and its hub, no topology" },
  { flags: "--credential <file>", description: "where the edge's token is kept (default: beside the SQLite file)" },
];

/** What a verb does to a topology, or to an edge where one is named. */
export const byPlace =
  (inTopology: RunVerb, atEdge: () => Promise<RunVerb>): RunVerb =>
  async (context, input) =>
    input.options.database === undefined ? inTopology(context, input) : (await atEdge())(context, input);
