import { TomboloError } from "../../change/error.ts";
import type { CapturedTable } from "./captured-tables.ts";
import type { Connection } from "./connection.ts";
import { type LocalTable, readTable } from "./shape.ts";

/**
 * Why rows of a captured table can be neither written nor read as they were captured: it is gone, or has lost columns. Null when they can;
 * a column more does no harm. Such a table stops only itself: what comes for it is parked until it fits again.
 */
export function misfit(connection: Connection, table: Pick<CapturedTable, "local" | "columns">): TomboloError | null {
  return misfitOf(readTable(connection, table.local), table);
}

export function misfitOf(local: LocalTable | null, table: Pick<CapturedTable, "local" | "columns">): TomboloError | null {
  if (local === null) {
    return new TomboloError(`table ${table.local} is gone`, {
      code: "TABLE_MISSING",
      kind: "operator",
      hint: "create it again, or run `tombolo apply` without it",
    });
  }
  const here = new Set([...local.columns.map(({ name }) => name.toLowerCase()), ...local.generated.map((name) => name.toLowerCase())]);
  const lost = table.columns.map(({ name }) => name).filter((name) => !here.has(name.toLowerCase()));
  if (lost.length === 0) return null;
  return new TomboloError(`table ${table.local} has lost columns that are replicated: ${lost.join(", ")}`, {
    code: "COLUMN_MISSING",
    kind: "operator",
    hint: "bring them back, or run `tombolo apply`; what waits then applies by itself",
  });
}
