import type { Finding, WantedTable } from "../installation.ts";
import type { CapturedTable } from "./captured-tables.ts";
import type { Connection } from "./connection.ts";
import type { LocalTable } from "./shape.ts";

interface Excluding {
  readonly want: WantedTable;
  /** Read with `want.exclude`. */
  readonly local: LocalTable;
  readonly before: CapturedTable | null;
}

/** What stands against keeping the columns of `exclude` at home, and what a person should know. */
export function excludedFindings(connection: Connection, { want, local, before }: Excluding): Finding[] {
  const findings: Finding[] = [];
  const add = (severity: Finding["severity"], code: string, message: string, hint: string, column?: string): void => {
    findings.push({ severity, code, table: want.table, ...(column !== undefined && { column }), message, hint });
  };
  const required = requiredColumns(connection, local.name);
  for (const name of want.exclude) {
    const is = (other: string): boolean => other.toLowerCase() === name.toLowerCase();
    if (local.key.some(is)) {
      const message = `rows of ${local.name} are told by its column ${name}, which cannot stay at home`;
      add("error", "EXCLUDED_COLUMN_IN_KEY", message, "take it out of `exclude`");
    } else if (![...local.excluded, ...local.generated].some(is)) {
      const message = `${local.name} has no column ${name} that could stay at home`;
      add("warning", "EXCLUDED_COLUMN_MISSING", message, "correct the name, unless only other nodes have the column", name);
    } else if (want.receives && required.some(is)) {
      const message = `the column ${name} of ${local.name} takes no NULL and has no default: rows that come in could not be inserted`;
      add("error", "EXCLUDED_COLUMN_REQUIRED", message, "give it a default, or let it take NULL");
    }
  }
  const back = before === null ? [] : travelAgain(before, local);
  if (back.length > 0) {
    const message = `${back.join(", ")} of ${local.name} travel from now on; what was there before is not sent`;
    add("warning", "EXCLUDED_COLUMN_TRAVELS", message, "compare the table with its neighbours after `tombolo apply`");
  }
  return findings;
}

/** Columns that stayed at home until now. */
export function travelAgain(before: CapturedTable, local: LocalTable): string[] {
  const stayed = new Set(before.excluded.map((name) => name.toLowerCase()));
  return local.columns.map(({ name }) => name).filter((name) => stayed.has(name.toLowerCase()));
}

/** Stored columns that an insert must name. */
const requiredColumns = (connection: Connection, local: string): string[] =>
  connection
    .prepare("select name from pragma_table_xinfo(?) where hidden = 0 and [notnull] = 1 and coalesce(upper(dflt_value), 'NULL') = 'NULL'")
    .pluck()
    .all(local) as string[];
