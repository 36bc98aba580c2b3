import { TomboloError } from "../change/error.ts";
import type { TableName } from "../change/names.ts";
import type { Finding } from "./installation.ts";

/** Why a database does not take a filter. Messages hold names, never values. */
export interface FilterFault {
  /**
   * `FILTER_INVALID`: not a condition. `FILTER_COLUMN`: of columns that do not travel. `FILTER_NOT_PURE`: what it answers depends on more than the row.
   * `FILTER_PARAM`: a parameter's value is not of the type that it is compared with.
   */
  readonly code: "FILTER_INVALID" | "FILTER_COLUMN" | "FILTER_NOT_PURE" | "FILTER_PARAM";
  readonly message: string;
}

const HINTS: { readonly [code in FilterFault["code"]]: string } = {
  FILTER_INVALID: "Write a condition on the table's columns, in the SQL of the node that chooses the rows.",
  FILTER_COLUMN: "Use columns that travel: neither generated ones nor those in `exclude`.",
  FILTER_NOT_PURE: "Use the row's own columns and functions that always answer the same; no subqueries, no time of day.",
  FILTER_PARAM: "Correct the link's `params`.",
};

export const filterFinding = (table: TableName, { code, message }: FilterFault): Finding => ({
  severity: "error",
  code,
  table,
  message: `the filter of ${table} ${message}`,
  hint: HINTS[code],
});

export const filterError = (table: TableName, { code, message }: FilterFault): TomboloError =>
  new TomboloError(`the filter of ${table} ${message}`, { code, kind: "operator", hint: HINTS[code] });

export const fault = (code: FilterFault["code"], message: string): FilterFault => ({ code, message });

/** Thrown for a row on which a filter fails. */
export const filterFailed = (tables: readonly string[], why: string): TomboloError =>
  new TomboloError(`the filter of ${tables.join(" or ")} fails on a row: ${why}`, {
    code: "FILTER_FAILED",
    kind: "operator",
    hint: "let it answer for every row: nullif(x, 0) below a division, a case around a cast",
  });
