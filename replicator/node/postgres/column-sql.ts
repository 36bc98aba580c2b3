import type { Column } from "../../change/shape.ts";
import { ident } from "./identifier.ts";

/**
 * Types whose explicit cast from text would cut or pad a value that does not fit. The bare type keeps all of it, and the
 * assignment to the column then complains as an application's own insert would.
 */
const BARE: { readonly [base: string]: string } = {
  varchar: "varchar",
  bpchar: "bpchar",
  bit: "varbit",
  varbit: "varbit",
  _varchar: "varchar[]",
  _bpchar: "bpchar[]",
  _bit: "varbit[]",
  _varbit: "varbit[]",
};

/** Types where `=` means the same image, so that the cheap operator serves; all others go through record_image_eq. */
const EQUAL_IS_SAME = new Set([
  "bool",
  "int2",
  "int4",
  "int8",
  "oid",
  "date",
  "time",
  "timestamp",
  "timestamptz",
  "uuid",
  "bytea",
  "bpchar",
]);
const TEXT = new Set(["text", "varchar"]);

const baseOf = (column: Column): string => column.base ?? column.type;

/** A text expression turned into the column's type. */
export const typed = (expression: string, column: Column): string => `${expression}::${BARE[baseOf(column)] ?? column.type}`;

/** True when column `c` of alias `t` holds exactly `expression`, which is of the type that `typed` gives. NULLs compare as values. */
export function sameImage(column: Column, expression: string): string {
  const current = `t.${ident(column.name)}`;
  const base = baseOf(column);
  if (EQUAL_IS_SAME.has(base)) return `${current} is not distinct from ${expression}`;
  // compared bytewise, whatever the column's collation takes for equal
  if (TEXT.has(base)) return `${current}::text collate "C" is not distinct from ${expression}::text collate "C"`;
  if (BARE[baseOf(column)] !== undefined) return `record_image_eq(row(${current}::${BARE[base]}), row(${expression}))`;
  return `record_image_eq(row(${current}), row(${expression}))`;
}
