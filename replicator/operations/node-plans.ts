import type { NodeName } from "../change/names.ts";
import { wantedTables } from "../lifecycle/tree.ts";
import type { Finding, Plan, Step } from "../node/installation.ts";
import type { Node } from "../node/node.ts";
import { type ErrorReport, errorReport } from "../observability/describe-error.ts";
import type { Reached } from "../observability/status-report.ts";
import type { Topology, TopologyNode } from "../topology/topology.ts";
import { withColumnsOfNoNode } from "./columns-of-no-node.ts";

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

export const isError = ({ severity }: Finding): boolean => severity === "error";

/** A finding as JSON answers carry it. */
export interface FindingReport {
  readonly severity: Finding["severity"];
  readonly code: string;
  readonly table: string | null;
  readonly message: string;
  readonly hint: string | null;
}

/** What `apply` would do to a node, as JSON answers carry it. */
export interface NodePlanReport {
  readonly name: string;
  readonly engine: TopologyNode["type"];
  /** Why it cannot be planned. */
  readonly error: ErrorReport | null;
  readonly steps: readonly (Pick<Step, "action" | "object"> & { readonly sql?: string })[];
  readonly findings: readonly FindingReport[];
}

export const planReport = (planned: NodePlan, withSql: boolean): NodePlanReport => ({
  name: planned.config.name,
  engine: planned.config.type,
  error: "error" in planned ? errorReport(planned.error) : null,
  steps: "error" in planned ? [] : planned.plan.steps.map(({ action, object, sql }) => ({ action, object, ...(withSql ? { sql } : {}) })),
  findings: "error" in planned ? [] : planned.plan.findings.map(findingReport),
});

export const findingReport = ({ severity, code, table, message, hint }: Finding): FindingReport => ({
  severity,
  code,
  table: table ?? null,
  message,
  hint: hint ?? null,
});
