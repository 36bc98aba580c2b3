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

export function problemLines({ file, line, column, code, message, hint }: Problem): readonly string[] {
  return [`${file}:${line}:${column}: ${code}: ${message}`, ...(hint === "" ? [] : [`  ${hint}`])];
}
