import { existsSync } from "node:fs";
import type { Column } from "../change/shape.ts";
import type { ConflictRule, MergeKind } from "../change/verdict.ts";
import type { Finding, WantedTable } from "./installation.ts";

const NUMERIC = ["int2", "int4", "int8", "numeric", "float4", "float8"];
const TEXT = ["text", "varchar", "bpchar", "citext"];
const JSON_TYPES = ["json", "jsonb"];

/** The types (`Column.base`) of Postgres that a kind of merge can work on; `null`: every type. A SQLite column may hold anything. */
const FITTING: { readonly [kind in MergeKind]: readonly string[] | null } = {
  text: TEXT,
  json: [...JSON_TYPES, ...TEXT],
  set: [...JSON_TYPES, ...TEXT],
  counter: NUMERIC,
  max: null,
  min: null,
};

/** What is wrong with a table's way of deciding conflicts, seen against its columns here. */
export function conflictFindings({ table, conflict }: WantedTable, columns: readonly Column[], key: readonly string[]): Finding[] {
  const findings: Finding[] = [];
  const error = (code: string, message: string, hint: string): void =>
    void findings.push({ severity: "error", code, table, message, hint });
  const named = (name: string): Column | undefined =>
    columns.find((column) => column.name === name) ?? columns.find((column) => column.name.toLowerCase() === name.toLowerCase());
  for (const name of new Set([...Object.keys(conflict.mergeColumns), ...conflict.groups.flat()])) {
    const column = named(name);
    if (column === undefined) {
      error(
        "CONFLICT_COLUMN_MISSING",
        `${table} has no column ${name} that travels, which \`conflict\` names`,
        "Correct the name, or add the column.",
      );
    } else if (key.includes(column.name)) {
      error(
        "CONFLICT_COLUMN_KEY",
        `column ${name} of ${table} is part of the key, which is never in conflict`,
        "Take it out of `conflict`.",
      );
    } else {
      const unfit = unfitKind(conflict, name, column);
      if (unfit !== null) {
        const hint = `\`${unfit}\` takes ${FITTING[unfit]?.join(", ")}${unfit === "set" ? " and arrays" : ""}.`;
        error("MERGE_TYPE", `column ${name} of ${table} is ${column.type}, which cannot be merged as \`${unfit}\``, hint);
      }
    }
  }
  if (conflict.module !== null && !existsSync(conflict.module)) {
    error(
      "MODULE_NOT_FOUND",
      `the module that decides about ${table} is not there: ${conflict.module}`,
      "Correct its path, or put it there.",
    );
  }
  return findings;
}

/** The kind that the column's type does not fit; null where it does, or where the engine says nothing about types. */
function unfitKind({ mergeColumns }: ConflictRule, name: string, { base }: Column): MergeKind | null {
  const kind = Object.hasOwn(mergeColumns, name) ? mergeColumns[name] : undefined;
  const fitting = kind === undefined ? null : FITTING[kind];
  if (kind === undefined || base === undefined || fitting === null || fitting.includes(base)) return null;
  return kind === "set" && base.startsWith("_") ? null : kind;
}
