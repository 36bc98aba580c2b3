import { errorReport } from "../observability/describe-error.ts";
import type { LinkResult } from "./reconcile-links.ts";

/** What came of a link, as JSON answers carry it. */
export function reconcileJson({ link, report, error }: LinkResult): object {
  return {
    parent: link.parent,
    child: link.child,
    outcome: report?.outcome ?? "failed",
    tables: (report?.tables ?? []).map((table) => ({
      table: table.name,
      compared: table.compared,
      differing: table.differing,
      repaired: table.repaired,
      under_way: table.unsettled,
      parked: table.parked,
      only_at_parent: table.kinds.only_parent,
      only_at_child: table.kinds.only_child,
      partial: table.isPartial,
      scope: table.scope,
      whole: table.whole,
      examples: table.examples.map(({ key, kind }) => ({ key: JSON.parse(key) as unknown, kind })),
      error: table.error === null ? null : errorReport(table.error),
    })),
    error: error === undefined ? null : errorReport(error),
  };
}
