import { planExit, planNodes, plansJson, printPlans, printSql } from "./node-plans.ts";
import { chosenNodes, NODE_OPTION, withNodes } from "./nodes-of.ts";
import { requireTopology } from "./topology-file.ts";
import { flag, type Verb } from "./verb.ts";

export const plan: Verb = {
  name: "plan",
  summary: "show what `apply` would create, change or drop in each database; changes nothing",
  options: [{ flags: "--sql", description: "print the statements, for a DBA to read, approve or run" }, NODE_OPTION],
  examples: ["tombolo plan", "tombolo plan --sql > review.sql"],
  async run(context, input) {
    const topology = await requireTopology(context);
    const configs = chosenNodes(topology, input);
    const plans = await withNodes(context, configs, (nodes) => planNodes(topology, configs, nodes));
    if (context.json) context.out.json(plansJson(plans, flag(input, "sql")));
    else if (flag(input, "sql")) printSql(plans, context.out);
    else printPlans(plans, context.out);
    return planExit(plans);
  },
};
