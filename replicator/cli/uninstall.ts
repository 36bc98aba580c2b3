import { planEach } from "../operations/node-plans.ts";
import { confirm } from "./ask.ts";
import { whileNobodyReplicates } from "./exclusive.ts";
import { EXIT } from "./exit-codes.ts";
import { planExit, plansJson, printPlans, stepCount } from "./node-plans.ts";
import { chosenNodes, withNodes } from "./nodes-of.ts";
import { plural } from "./output.ts";
import { requireTopology } from "./topology-file.ts";
import { flag, type RunVerb } from "./verb.ts";

export const uninstall: RunVerb = async (context, input) => {
  const topology = await requireTopology(context);
  const configs = chosenNodes(topology, input);
  return whileNobodyReplicates(context, topology, "uninstall", (hold) =>
    withNodes(context, configs, async (nodes) => {
      const plans = await planEach(configs, nodes, (node) => node.installation.planUninstall());
      if (!flag(input, "yes") && stepCount(plans) > 0) {
        if (!context.json) printPlans(plans, context.out);
        const question = `Remove ${plural(stepCount(plans), "object")}? Changes that have not travelled yet, and the conflict history, are lost.`;
        if (!(await confirm(question))) {
          context.out.note("nothing was changed");
          return EXIT.failed;
        }
      }
      // a database that is away keeps its part; the others do not wait for it
      const done = await planEach(configs, nodes, async (node, config) => {
        await node.installation.uninstall();
        const planned = plans.find((candidate) => candidate.config === config);
        return planned !== undefined && "plan" in planned ? planned.plan : { steps: [], findings: [] };
      });
      if (context.json) context.out.json(plansJson(done, false));
      else printPlans(done, context.out);
      if (planExit(done) === EXIT.done && configs.length === topology.nodes.length) await hold?.remove();
      return planExit(done);
    }),
  );
};
