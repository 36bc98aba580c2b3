import { parkedDetailsReport } from "../operations/parked-report.ts";
import { EXIT } from "./exit-codes.ts";
import { withNodes } from "./nodes-of.ts";
import { detailsLines } from "./parked-answer.ts";
import { findParked, nodesHolding, parkedNamed } from "./parked-lookup.ts";
import { terminalWidth } from "./side-by-side.ts";
import { requireTopology } from "./topology-file.ts";
import type { RunVerb } from "./verb.ts";

export const parkedShow: RunVerb = async (context, input) => {
  const topology = await requireTopology(context);
  const named = parkedNamed(input.args);
  const [first] = named;
  if (first === undefined) return EXIT.usage;
  return withNodes(context, nodesHolding(topology, named), async (nodes) => {
    const { node, details } = await findParked(context, nodes, first, false);
    if (context.json) context.out.json(parkedDetailsReport(node.name, details));
    else {
      for (const line of detailsLines(node.name, details, terminalWidth())) context.out.line(line);
      const id = `${node.name}/${details.record.id}`;
      context.out.note(
        `it is tried again by itself; at once with: tombolo parked retry ${id}; given up with: tombolo parked discard ${id}`,
      );
    }
    return EXIT.done;
  });
};
