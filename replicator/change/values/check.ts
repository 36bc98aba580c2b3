import type { Column } from "../shape.ts";
import { columnKind } from "./affinity.ts";
import { MAPPING } from "./mapping.ts";
import { postgresType } from "./postgres-type.ts";

export type PairCheck = { readonly ok: true } | { readonly warning: string } | { readonly error: string };

/**
 * Whether a Postgres column and a SQLite column can carry each other's values: always, all but some (each refused by itself,
 * its row parked), or never. For the plan.
 */
export function checkPair(postgresColumn: Column, sqliteColumn: Column, strict = false): PairCheck {
  const type = postgresType(postgresColumn);
  const cell = MAPPING[type.family].cells[columnKind(sqliteColumn.type, strict)];
  const pair = `Postgres ${postgresColumn.type} and SQLite ${strict ? "STRICT " : ""}${sqliteColumn.type === "" ? "without a type" : sqliteColumn.type}`;
  if (cell.as === null) return { error: `${pair}: the SQLite column can hold no value of the type` };
  return cell.except === undefined ? { ok: true } : { warning: `${pair}: refused are ${cell.except}` };
}
