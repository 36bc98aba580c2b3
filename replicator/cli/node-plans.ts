import type { Finding } from "../node/installation.ts";
import { errorReport } from "../observability/describe-error.ts";
import { contactsReport, type LinkContact } from "../operations/first-contacts.ts";
import { isError, type NodePlan, planReport } from "../operations/node-plans.ts";
import { EXIT, type ExitCode, exitCodeOf, worst } from "./exit-codes.ts";
import type { Output } from "./output.ts";

/** 2 with a finding that must be corrected first, the code of the error where a database could not be asked, else 0. */
export function planExit(plans: readonly NodePlan[]): ExitCode {
  return worst(
    plans.map((planned) => {
      if ("error" in planned) return exitCodeOf(planned.error);
      return planned.plan.findings.some(isError) ? EXIT.usage : EXIT.done;
    }),
  );
}

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

export const plansJson = (plans: readonly NodePlan[], withSql: boolean, contacts: readonly LinkContact[] = []): unknown => ({
  nodes: plans.map((planned) => planReport(planned, withSql)),
  first_contacts: contactsReport(contacts),
});
