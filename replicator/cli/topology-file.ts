import { TomboloError } from "../change/error.ts";
import { loadTopology } from "../topology/load.ts";
import type { Problem, Topology } from "../topology/topology.ts";
import type { CommandContext } from "./verb.ts";

/** The checked topology; with problems in the file it shows them all and throws `TOPOLOGY_INVALID` (usage). */
export async function requireTopology(context: CommandContext): Promise<Topology> {
  const loaded = await loadTopology(context.file, context.env);
  if ("topology" in loaded) return loaded.topology;
  for (const line of loaded.problems.flatMap(problemLines)) context.out.note(line);
  throw new TomboloError(`${context.file}: ${loaded.problems.length} to correct`, {
    code: "TOPOLOGY_INVALID",
    kind: "usage",
    hint: "Nothing was done. `tombolo validate` checks the file.",
  });
}

/** The same for verbs that move data: refuses what the file asks for and this version does not run yet. */
export async function requireRunnableTopology(context: CommandContext): Promise<Topology> {
  const topology = await requireTopology(context);
  if (topology.notYet.length === 0) return topology;
  for (const line of notYetLines(topology)) context.out.note(line);
  throw new TomboloError(`${context.file} asks for what this version does not run yet`, {
    code: "NOT_YET",
    kind: "usage",
    hint: "Take it out of the file for now.",
  });
}

export function notYetLines(topology: Topology): readonly string[] {
  return topology.notYet.map(({ line, column, path, message }) => `${topology.file}:${line}:${column}: NOT_YET: ${path}: ${message}`);
}

export function problemLines({ file, line, column, code, message, hint }: Problem): readonly string[] {
  return [`${file}:${line}:${column}: ${code}: ${message}`, ...(hint === "" ? [] : [`  ${hint}`])];
}
