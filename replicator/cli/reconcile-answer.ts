import type { TomboloError } from "../change/error.ts";
import { linkName } from "../lifecycle/tree.ts";
import type { WholeReason } from "../node/reconcile-desk.ts";
import { errorReport } from "../observability/describe-error.ts";
import type { Difference } from "../reconcile/comparison.ts";
import type { TableReport } from "../reconcile/reconcile-link.ts";
import type { LinkResult } from "../reconcile/reconcile-links.ts";
import { EXIT, type ExitCode, exitCodeOf, worst } from "./exit-codes.ts";
import { plural } from "./output.ts";

/** One line per table, with the link in front where there is more than one, and some keys below it. */
export function reconcileLines(
  { link, report, error }: LinkResult,
  shown: { readonly withLink: boolean; readonly repaired: boolean },
): string[] {
  const prefix = shown.withLink ? `${linkName(link)} ` : "";
  if (report === null) return [`${prefix || `${linkName(link)} `}was not compared: ${said(error)}`];
  return report.tables.flatMap((table) => {
    if (table.error !== null && table.compared === 0) return [`${prefix}${table.name}: not compared: ${said(table.error)}`];
    const parts = [
      table.scope === "changed" ? `${plural(table.compared, "changed row")} compared` : `${table.compared} compared`,
      `${table.differing} ${table.differing === 1 ? "differs" : "differ"}`,
      ...(shown.repaired ? [`${table.repaired} repaired`] : []),
      ...(table.unsettled === 0 ? [] : [`${table.unsettled} under way`]),
      ...(table.parked === 0 ? [] : [`${table.parked} parked`]),
    ];
    const examples = table.examples.map((example) => exampleText(example, link));
    const more = table.differing > examples.length ? ", …" : "";
    return [
      `${prefix}${table.name}: ${parts.join(", ")}${table.whole === null ? "" : ` (all rows: ${WHOLE[table.whole]})`}`,
      ...(examples.length === 0 ? [] : [`  ${examples.join(", ")}${more}`]),
      ...(table.error === null ? [] : [`  ${said(table.error)}`]),
    ];
  });
}

/** Why all rows were compared although the changes were asked for. */
export const WHOLE: { readonly [reason in WholeReason]: string } = {
  first: "no comparison to go on from",
  log_not_kept: "the log is not kept from the last comparison on",
  filled_anew: "filled anew since",
  must_compare: "changes of it may have been missed",
  altered: "its columns, its rows or a database are not what they were",
  emptied: "truncated since",
  too_many: "too many have changed",
};

function exampleText({ key, kind }: Difference, { parent, child }: LinkResult["link"]): string {
  const name = keyName(key);
  if (kind === "differs") return `${name} differs`;
  return `${name} only at ${kind === "only_parent" ? parent : child}`;
}

/** `17`, or `3/17` for a key of two columns. */
const keyName = (key: string): string => (JSON.parse(key) as (string | null)[]).map((text) => text ?? "NULL").join("/");

function said(error: unknown): string {
  const { code, message, hint } = errorReport(error);
  return `${message} (${code})${hint === null ? "" : `. ${hint}`}`;
}

/** 3 where differences are left; what kept a table or a link from being compared says more. */
export function reconcileExit(results: readonly LinkResult[]): ExitCode {
  const tables = results.flatMap(({ report }) => report?.tables ?? []);
  return worst([
    ...results.map(({ error }) => (error === undefined ? EXIT.done : exitCodeOf(error))),
    ...tables.map(({ error }) => (error === null ? EXIT.done : tableExit(error))),
    ...tables.map(isLeft).map((left) => (left ? EXIT.found : EXIT.done)),
  ]);
}

const tableExit = (error: TomboloError): ExitCode => (error.code === "RECONCILE_DELETES" ? EXIT.found : exitCodeOf(error));
const isLeft = ({ differing, repaired }: TableReport): boolean => differing > repaired;
