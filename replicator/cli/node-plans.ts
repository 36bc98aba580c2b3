import type { NodeName } from "../change/names.ts";
import { wantedTables } from "../lifecycle/tree.ts";
import type { Finding, Plan } from "../node/installation.ts";
import type { Node } from "../node/node.ts";
import { errorReport } from "../observability/describe-error.ts";
import type { Reached } from "../observability/status-report.ts";
import type { Topology, TopologyNode } from "../topology/topology.ts";
import { withColumnsOfNoNode } from "./columns-of-no-node.ts";
import { EXIT, type ExitCode, exitCodeOf, worst } from "./exit-codes.ts";
import { contactsJson, type LinkContact } from "./first-contacts.ts";
import type { Output } from "./output.ts";

/** What `apply` would do to one node, or why it cannot be known. */
export type NodePlan = { readonly config: TopologyNode } & ({ readonly plan: Plan } | { readonly error: unknown });

/** Plans of several nodes, side by side; an error of one does not keep the others from being planned. */
export async function planNodes(
  topology: Topology,
  configs: readonly TopologyNode[],
  nodes: ReadonlyMap<NodeName, Reached>,
): Promise<NodePlan[]> {
  const plans = await planEach(configs, nodes, (node, config) => node.installation.plan(wantedTables(topology, config)));
  return withColumnsOfNoNode(topology, plans);
}

export async function planEach(
  configs: readonly TopologyNode[],
  nodes: ReadonlyMap<NodeName, Reached>,
  plan: (node: Node, config: TopologyNode) => Promise<Plan>,
): Promise<NodePlan[]> {
  return Promise.all(
    configs.map(async (config): Promise<NodePlan> => {
      const reached = nodes.get(config.name) ?? { error: undefined };
      if ("error" in reached) return { config, error: reached.error };
      try {
        return { config, plan: await plan(reached.node, config) };
      } catch (error) {
        return { config, error };
      }
    }),
  );
}

/** 2 with a finding that must be corrected first, the code of the error where a database could not be asked, else 0. */
export function planExit(plans: readonly NodePlan[]): ExitCode {
  return worst(
    plans.map((planned) => {
      if ("error" in planned) return exitCodeOf(planned.error);
      return planned.plan.findings.some(isError) ? EXIT.usage : EXIT.done;
    }),
  );
}

export const isError = ({ severity }: Finding): boolean => severity === "error";

export function stepCount(plans: readonly NodePlan[]): number {
  return plans.reduce((sum, planned) => sum + ("plan" in planned ? planned.plan.steps.length : 0), 0);
}

const SIGNS = { create: "+", change: "~", drop: "-" } as const;

export function printPlans(plans: readonly NodePlan[], out: Output): void {
  for (const planned of plans) {
    const { name, type } = planned.config;
    if ("error" in planned) {
      const { code, message, hint } = errorReport(planned.error);
      out.line(`${name} (${type}): ${message} (${code})`);
      if (hint !== null) out.line(`    ${hint}`);
      continue;
    }
    const { steps, findings } = planned.plan;
    out.line(`${name} (${type})${steps.length === 0 ? ": nothing to do" : ""}`);
    for (const { action, object } of steps) out.line(`  ${SIGNS[action]} ${object}`);
    for (const finding of findings) for (const line of findingLines(finding)) out.line(`  ${line}`);
  }
}

/** Empty for a finding that all is well. */
export function findingLines({ severity, code, table, message, hint }: Finding): readonly string[] {
  if (severity === "ok") return [];
  const subject = table === undefined || message.includes(table) ? "" : `${table}: `;
  return [`${severity}: ${subject}${message} (${code})`, ...(hint === undefined ? [] : [`    ${hint}`])];
}

/** Statements that can be run by hand, node by node. */
export function printSql(plans: readonly NodePlan[], out: Output): void {
  for (const planned of plans) {
    const { name, type } = planned.config;
    out.line(`-- node ${name} (${type})`);
    if ("error" in planned) {
      out.line(`-- cannot be planned: ${errorReport(planned.error).message}`);
      continue;
    }
    for (const finding of planned.plan.findings) for (const line of findingLines(finding)) out.line(`-- ${line}`);
    if (planned.plan.steps.length === 0) out.line("-- nothing to do");
    for (const { action, object, sql } of planned.plan.steps) {
      out.line();
      out.line(`-- ${action} ${object}`);
      out.line(/;\s*$/.test(sql) ? sql.trimEnd() : `${sql.trimEnd()};`);
    }
    out.line();
  }
}

export function plansJson(plans: readonly NodePlan[], withSql: boolean, contacts: readonly LinkContact[] = []): unknown {
  return {
    nodes: plans.map((planned) => ({
      name: planned.config.name,
      engine: planned.config.type,
      error: "error" in planned ? errorReport(planned.error) : null,
      steps:
        "error" in planned ? [] : planned.plan.steps.map(({ action, object, sql }) => ({ action, object, ...(withSql ? { sql } : {}) })),
      findings: "error" in planned ? [] : planned.plan.findings.map(findingJson),
    })),
    first_contacts: contactsJson(contacts),
  };
}

export function findingJson({ severity, code, table, message, hint }: Finding): unknown {
  return { severity, code, table: table ?? null, message, hint: hint ?? null };
}
