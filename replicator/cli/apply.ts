import { wantedTables } from "../lifecycle/tree.ts";
import { firstContacts } from "../operations/first-contacts.ts";
import { type NodePlan, planEach, planNodes } from "../operations/node-plans.ts";
import { confirm } from "./ask.ts";
import { EXIT } from "./exit-codes.ts";
import { printContacts } from "./first-contacts.ts";
import { planExit, plansJson, printPlans, stepCount } from "./node-plans.ts";
import { chosenNodes, withNodes } from "./nodes-of.ts";
import { plural } from "./output.ts";
import { requireTopology } from "./topology-file.ts";
import { flag, type RunVerb } from "./verb.ts";

export const apply: RunVerb = async (context, input) => {
  const topology = await requireTopology(context);
  const configs = chosenNodes(topology, input);
  return withNodes(context, configs, async (nodes) => {
    const plans = await planNodes(topology, configs, nodes);
    const code = planExit(plans);
    const show = (shown: readonly NodePlan[]) =>
      context.json ? context.out.json(plansJson(shown, false)) : printPlans(shown, context.out);
    if (code !== EXIT.done) {
      show(plans);
      context.out.note("nothing was changed: correct what is shown, or choose nodes with --node");
      return code;
    }
    if (stepCount(plans) === 0) {
      show(plans);
      return EXIT.done;
    }
    if (!flag(input, "yes")) {
      if (!context.json) printPlans(plans, context.out);
      if (!(await confirm(`Do these ${plural(stepCount(plans), "step")}?`))) {
        context.out.note("nothing was changed");
        return EXIT.failed;
      }
    }
    const done = await planEach(configs, nodes, (node, config) => node.installation.apply(wantedTables(topology, config)));
    const contacts = await firstContacts(topology, nodes);
    if (context.json) context.out.json(plansJson(done, false, contacts));
    else {
      printPlans(done, context.out);
      printContacts(contacts, context.out);
    }
    return planExit(done);
  });
};
