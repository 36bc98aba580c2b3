import type { Finding, WantedTable } from "../installation.ts";
import { type Registered, travelAgain } from "./registration.ts";
import { type Relation, usableKey } from "./shape.ts";

/** What stands against keeping the columns of `exclude` at home, and what a person should know. */
export function excludedFindings(wanted: WantedTable, relation: Relation | undefined, registered: Registered | undefined): Finding[] {
  if (relation === undefined) return [];
  const { table, local } = wanted;
  const findings: Finding[] = [];
  const add = (severity: Finding["severity"], code: string, message: string, hint: string, column?: string): void => {
    findings.push({ severity, code, table, ...(column !== undefined && { column }), message: `${local} ${message}`, hint });
  };
  const key = usableKey(relation)?.columns ?? [];
  for (const name of wanted.exclude) {
    const column = relation.columns.find((candidate) => candidate.name === name);
    if (column === undefined) {
      add(
        "warning",
        "EXCLUDED_COLUMN_MISSING",
        `has no column ${name} that could stay at home`,
        "Correct the name, unless only other nodes have the column; case counts.",
        name,
      );
    } else if (key.includes(name)) {
      add("error", "EXCLUDED_COLUMN_IN_KEY", `is told by its column ${name}, which cannot stay at home`, "Take it out of `exclude`.");
    } else if (wanted.receives && column.notNull && !column.defaulted && !column.generated) {
      const message = `has the column ${name}, which takes no NULL and has no default: rows that come in could not be inserted`;
      add("error", "EXCLUDED_COLUMN_REQUIRED", message, "Give it a default, or let it take NULL.");
    }
  }
  const back = registered === undefined ? [] : travelAgain(registered, wanted, relation);
  if (back.length > 0) {
    const message = `lets ${back.join(", ")} travel from now on; what was there before is not sent`;
    add("warning", "EXCLUDED_COLUMN_TRAVELS", message, "Compare the table with its neighbours after `tombolo apply`.");
  }
  return findings;
}
