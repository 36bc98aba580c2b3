import { errorLine, errorReport } from "../observability/describe-error.ts";
import { type PurgeReport, purgeNode } from "../operations/purge.ts";
import { EXIT, exitCodeOf, worst } from "./exit-codes.ts";
import { chosenNodes, reachedNode, withNodes } from "./nodes-of.ts";
import { bytes, plural } from "./output.ts";
import { requireTopology } from "./topology-file.ts";
import type { RunVerb } from "./verb.ts";
import { whoOf } from "./who.ts";

export const purge: RunVerb = async (context, input) => {
  const topology = await requireTopology(context);
  const chosen = chosenNodes(topology, input);
  const who = whoOf(input);
  return withNodes(context, chosen, async (nodes) => {
    const purged: PurgeReport[] = [];
    const failed: { node: string; error: unknown }[] = [];
    for (const { name } of chosen) {
      try {
        const report = await purgeNode(reachedNode(nodes, name), who);
        purged.push(report);
        if (!context.json) context.out.line(line(report));
      } catch (error) {
        failed.push({ node: name, error });
        context.out.note(`${name}: ${errorLine(error)}`);
      }
    }
    if (context.json) context.out.json({ purged, failed: failed.map(({ node, error }) => ({ node, error: errorReport(error) })) });
    return worst([EXIT.done, ...failed.map(({ error }) => exitCodeOf(error))]);
  });
};

function line({ node, rows_before, rows_after, bytes_before, bytes_after }: PurgeReport): string {
  const gone = Math.max(0, rows_before - rows_after);
  const left = `${plural(rows_after, "row")} and ${bytes(bytes_after)} are left`;
  return gone === 0 && bytes_after >= bytes_before
    ? `${node}: nothing to remove, ${left}`
    : `${node}: ${plural(gone, "row")} removed, ${left}`;
}
