import { planExit, planNodes, plansJson, printPlans, printSql } from "./node-plans.ts";
import { chosenNodes, withNodes } from "./nodes-of.ts";
import { requireTopology } from "./topology-file.ts";
import { flag, type RunVerb } from "./verb.ts";

export const plan: RunVerb = async (context, input) => {
  const topology = await requireTopology(context);
  const configs = chosenNodes(topology, input);
  const plans = await withNodes(context, configs, (nodes) => planNodes(topology, configs, nodes));
  if (context.json) context.out.json(plansJson(plans, flag(input, "sql")));
  else if (flag(input, "sql")) printSql(plans, context.out);
  else printPlans(plans, context.out);
  return planExit(plans);
};
