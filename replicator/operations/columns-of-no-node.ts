import { wantedTables } from "../lifecycle/tree.ts";
import type { Finding, Plan } from "../node/installation.ts";
import type { Topology } from "../topology/topology.ts";

/**
 * A column of `exclude` that one node lacks may be a column of another. One that no node has is a slip, and the column that was meant
 * would travel: an error. Told only when all nodes of the table have been planned.
 */
export function withColumnsOfNoNode<T extends Planned>(topology: Topology, plans: readonly T[]): T[] {
  const missing = (finding: Finding): string | null =>
    finding.code === "EXCLUDED_COLUMN_MISSING" ? JSON.stringify([finding.table, finding.column]) : null;
  const lacking = new Map<string, number>();
  for (const planned of plans) {
    if (!("plan" in planned)) continue;
    for (const id of new Set(planned.plan.findings.map(missing))) if (id !== null) lacking.set(id, (lacking.get(id) ?? 0) + 1);
  }
  if (lacking.size === 0) return [...plans];
  const users = new Map<string, number>();
  for (const { table } of topology.nodes.flatMap((node) => wantedTables(topology, node))) users.set(table, (users.get(table) ?? 0) + 1);
  const nowhere = (finding: Finding): boolean => {
    const id = missing(finding);
    return id !== null && lacking.get(id) === users.get(finding.table ?? "");
  };
  return plans.map((planned) => {
    if (!("plan" in planned)) return planned;
    const findings = planned.plan.findings.map((finding): Finding => (nowhere(finding) ? { ...finding, severity: "error" } : finding));
    return { ...planned, plan: { ...planned.plan, findings } };
  });
}

type Planned = { readonly plan: Plan } | { readonly error: unknown };
