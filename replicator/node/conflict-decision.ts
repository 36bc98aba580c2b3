import { TomboloError } from "../change/error.ts";
import type { Column } from "../change/shape.ts";
import type { Row } from "../change/value.ts";
import type { Resolution } from "../change/verdict.ts";
import type { ConflictRecord, DecidedBy, Decision, Taken } from "./conflict-desk.ts";

/** The table of a conflict, as far as deciding looks at it: the columns that travel, and the key. */
export interface DecidedTable {
  readonly columns: readonly Pick<Column, "name">[];
  readonly key: readonly string[];
}

/** A decision with its values in the terms of the database. */
export type ReadDecision = { readonly take: Taken } | { readonly set: Row };

/**
 * What the row is to be by a person's decision; null when there is to be none, columns that are missing stay as they are. `now` is the row
 * as it is. Throws `CONFLICT_INCOMPLETE` and `CONFLICT_COLUMN`.
 */
export function decidedRow(record: ConflictRecord, decision: ReadDecision, table: DecidedTable, now: Row | null): Row | null {
  if ("set" in decision) return now === null ? wholeRow(record, decision.set, table) : decision.set;
  const image = record[decision.take];
  if (image === null) return null;
  const names = table.columns.map(({ name }) => name);
  const whose = `what the history holds of ${possessive(decision.take)} row`;
  if (now === null) return needed(image, names, { record, whose });
  if (record.columns !== null) return contestedColumns(record, image, { names, whose });
  // a column that no version of the row has came later, and stays as it is
  const versions = [record.parent, record.child, record.base, record.result];
  const known = names.filter((name) => versions.some((version) => version !== null && Object.hasOwn(version, name)));
  const row = needed(image, known, { record, whose });
  return Object.fromEntries(Object.entries(row).filter(([name]) => !table.key.includes(name)));
}

function contestedColumns(record: ConflictRecord, image: Row, taken: { readonly names: readonly string[]; readonly whose: string }): Row {
  const contested = (record.columns ?? []).filter((name) => taken.names.includes(name));
  if (contested.length > 0) return needed(image, contested, { record, whose: taken.whose });
  throw new TomboloError(`table ${record.table} has none of the contested columns any more: ${(record.columns ?? []).join(", ")}`, {
    code: "CONFLICT_COLUMN",
    kind: "usage",
    hint: "Give values for others with --set.",
  });
}

/** There is no row: what the history holds of it, the child's version first, and the values given. */
function wholeRow(record: ConflictRecord, values: Row, table: DecidedTable): Row {
  const row = { ...record.base, ...record.parent, ...record.child, ...record.key, ...values };
  const names = table.columns.map(({ name }) => name);
  return needed(row, names, { record, whose: "there is no row; what the history holds of it, with the values given," });
}

function needed(image: Row, names: readonly string[], what: { readonly record: ConflictRecord; readonly whose: string }): Row {
  const missing = names.filter((name) => !Object.hasOwn(image, name));
  if (missing.length === 0) return Object.fromEntries(names.map((name) => [name, image[name] ?? null]));
  throw new TomboloError(
    `${what.whose} is not whole: ${missing.join(", ")} of ${what.record.table} ${missing.length === 1 ? "is" : "are"} missing`,
    {
      code: "CONFLICT_INCOMPLETE",
      kind: "operator",
      hint: "Nothing was done. Take another version, or give the missing columns with --set or --set-null.",
    },
  );
}

/** Throws `COLUMN_MISSING` (operator) where the table has another key than it had: which row it was cannot be said. */
export function requireKey(record: ConflictRecord, table: DecidedTable): void {
  const missing = table.key.filter((name) => !Object.hasOwn(record.key, name));
  if (missing.length === 0) return;
  throw new TomboloError(`table ${record.table} has another key since conflict ${record.id}: ${missing.join(", ")}`, {
    code: "COLUMN_MISSING",
    kind: "operator",
    hint: "Find the row by what the history holds of it, and correct it as any other.",
  });
}

/** Throws `CONFLICT_COLUMN` (usage) where a decision names a column that cannot be set; answers the table's names for them. */
export function settableColumns(
  record: ConflictRecord,
  values: { readonly [column: string]: string | null },
  table: DecidedTable,
  sameName: (a: string, b: string) => boolean,
): readonly (readonly [column: string, value: string | null])[] {
  return Object.entries(values).map(([given, value]) => {
    const column = table.columns.find(({ name }) => name === given) ?? table.columns.find(({ name }) => sameName(name, given));
    const refuse = (why: string, hint: string): TomboloError =>
      new TomboloError(`${given} of ${record.table} cannot be set: ${why}`, { code: "CONFLICT_COLUMN", kind: "usage", hint });
    if (column === undefined) {
      throw refuse("there is no such column that travels", `Its columns are ${table.columns.map(({ name }) => name).join(", ")}.`);
    }
    if (table.key.includes(column.name)) throw refuse("it is part of the key", "Another key is another row: insert that one.");
    return [column.name, value];
  });
}

/** True when nobody has decided between the two looks at a record. */
export const sameDecision = (a: ConflictRecord, b: ConflictRecord): boolean =>
  a.status === b.status && a.resolution === b.resolution && a.resolvedBy === b.resolvedBy && a.resolvedAt === b.resolvedAt;

export const resolutionOf = (decision: Decision): Resolution => ("take" in decision ? decision.take : "values");

/** One sentence for the history: names, never values. */
export function decisionReason(record: ConflictRecord, decision: Decision, by: DecidedBy, changed: readonly string[] | null): string {
  return `${by.who} ${what(record, decision)}${changed === null ? "" : `, although the row had ${since(changed)}`}.`;
}

const since = (changed: readonly string[]): string =>
  changed.length === 0 ? "come or gone since" : `changed since (${changed.join(", ")})`;

function what(record: ConflictRecord, decision: Decision): string {
  if ("set" in decision) return `gave ${Object.keys(decision.set).join(", ")}`;
  const whose = possessive(decision.take);
  if (record[decision.take] === null)
    return decision.take === "base" ? "decided for no row, as before both" : `decided for ${whose} side: no row`;
  return record.columns === null ? `decided for ${whose} row` : `decided for ${whose} ${record.columns.join(", ")}`;
}

const possessive = (taken: Taken): string => (taken === "base" ? "the base's" : `the ${taken}'s`);

/** For the audit table: names, never values. */
export const auditDetails = (record: ConflictRecord, decision: Decision, forced: boolean): string =>
  JSON.stringify({
    conflict: record.id.toString(),
    table: record.table,
    kind: record.kind,
    child: record.childNode,
    resolution: resolutionOf(decision),
    columns: "set" in decision ? Object.keys(decision.set) : record.columns,
    forced,
    before: {
      status: record.status,
      resolution: record.resolution,
      reason: record.reason,
      resolved_by: record.resolvedBy,
      resolved_at: record.resolvedAt,
    },
  });

export const AUDIT_WHAT = "conflict resolved";
