import { errorLine } from "../observability/describe-error.ts";
import { shownConflictReport } from "../operations/conflict-report.ts";
import { shownLines } from "./conflict-answer.ts";
import { conflictNamed, findConflict, nodesToAsk } from "./conflict-lookup.ts";
import { EXIT } from "./exit-codes.ts";
import { withNodes } from "./nodes-of.ts";
import { terminalWidth } from "./side-by-side.ts";
import { requireTopology } from "./topology-file.ts";
import type { RunVerb } from "./verb.ts";

export const conflictsShow: RunVerb = async (context, input) => {
  const topology = await requireTopology(context);
  const named = conflictNamed(input);
  return withNodes(context, nodesToAsk(topology, named), async (nodes) => {
    const { node, shown } = await findConflict(context, nodes, named, { topology, certain: false });
    if (context.json) context.out.json(shownConflictReport(node.name, shown));
    else for (const line of shownLines(node.name, shown, terminalWidth())) context.out.line(line);
    if (shown.unreadable !== null) context.out.note(`the row as it is now cannot be read: ${errorLine(shown.unreadable)}`);
    else if (shown.record.status === "open" && !context.json) {
      context.out.note(`decide it with: tombolo conflicts resolve ${node.name}/${shown.record.id} --take parent|child|base`);
    }
    return EXIT.done;
  });
};
