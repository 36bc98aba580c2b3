import type { Discarded } from "../node/parked-desk.ts";
import { parkedReport } from "../operations/parked-report.ts";
import { EXIT } from "./exit-codes.ts";
import { withNodes } from "./nodes-of.ts";
import { type FoundParked, findParked, nodesHolding, parkedNamed } from "./parked-lookup.ts";
import { requireTopology } from "./topology-file.ts";
import type { RunVerb } from "./verb.ts";
import { whoOf } from "./who.ts";

export const parkedDiscard: RunVerb = async (context, input) => {
  const topology = await requireTopology(context);
  const named = parkedNamed(input.args);
  const who = whoOf(input);
  return withNodes(context, nodesHolding(topology, named), async (nodes) => {
    const found: FoundParked[] = [];
    // all are found before the first is given up
    for (const each of named) found.push(await findParked(context, nodes, each, true));
    const answers = [];
    for (const { node, details } of found) {
      const discarded = await node.parked.discard(details.record.id, { who });
      answers.push({ ...parkedReport(node.name, discarded.record), asked_for: discarded.wanted.length > 0 });
      if (!context.json) context.out.line(line(node.name, discarded));
    }
    if (context.json) context.out.json({ discarded: answers });
    return EXIT.done;
  });
};

function line(node: string, { record, wanted }: Discarded): string {
  const id = `${node}/${record.id}`;
  if (record.role === "child") return `${id}: discarded; it is in the conflict history, and ${record.peer} gets the row as it is here`;
  return `${id}: discarded; ${wanted.length > 0 ? `${record.peer} is asked for the row as it is there` : "nothing is asked for in its place"}`;
}
