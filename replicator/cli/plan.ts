import { firstContacts } from "../operations/first-contacts.ts";
import { planNodes } from "../operations/node-plans.ts";
import { printContacts } from "./first-contacts.ts";
import { planExit, plansJson, printPlans, printSql } from "./node-plans.ts";
import { chosenNodes, withNodes } from "./nodes-of.ts";
import { requireTopology } from "./topology-file.ts";
import { flag, type RunVerb } from "./verb.ts";

export const plan: RunVerb = async (context, input) => {
  const topology = await requireTopology(context);
  const configs = chosenNodes(topology, input);
  const withSql = flag(input, "sql");
  const { plans, contacts } = await withNodes(context, configs, async (nodes) => {
    const plans = await planNodes(topology, configs, nodes);
    return { plans, contacts: withSql && !context.json ? [] : await firstContacts(topology, nodes) };
  });
  if (context.json) context.out.json(plansJson(plans, withSql, contacts));
  else if (withSql) printSql(plans, context.out);
  else {
    printPlans(plans, context.out);
    printContacts(contacts, context.out);
  }
  return planExit(plans);
};
