import { edgeConfig } from "../link/manifest.ts";
import { confirm } from "./ask.ts";
import { edgeInput, withEdge } from "./edge-input.ts";
import { EXIT } from "./exit-codes.ts";
import { plansJson, printPlans } from "./node-plans.ts";
import { plural } from "./output.ts";
import { flag, type RunVerb } from "./verb.ts";

/** `uninstall --database`: removes Tombolo from an edge's database. The credential stays, and the hub is not asked. */
export const uninstallEdge: RunVerb = async (context, input) => {
  const given = await edgeInput(context, input);
  return withEdge(context, given, async (edge, { node: name }) => {
    const node = await edge.node();
    const planned = [{ config: edgeConfig(name, given.place.database), plan: await node.installation.planUninstall() }];
    const steps = planned[0]?.plan.steps.length ?? 0;
    if (!flag(input, "yes") && steps > 0) {
      if (!context.json) printPlans(planned, context.out);
      if (!(await confirm(`Remove ${plural(steps, "object")}? Changes that have not travelled yet are lost.`))) {
        context.out.note("nothing was changed");
        return EXIT.failed;
      }
    }
    await node.installation.uninstall();
    if (context.json) context.out.json(plansJson(planned, false));
    else printPlans(planned, context.out);
    return EXIT.done;
  });
};
