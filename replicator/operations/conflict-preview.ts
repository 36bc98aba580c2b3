import { TomboloError } from "../change/error.ts";
import type { Engine } from "../change/shape.ts";
import { type Row, sameValue, type Value } from "../change/value.ts";
import type { ConflictRule, MergeKind } from "../change/verdict.ts";
import { decidedRow, type ReadDecision, settableColumns } from "../node/conflict-decision.ts";
import type { ConflictRecord, Decision, ShownConflict } from "../node/conflict-desk.ts";
import { type RowJson, realText, rowJson } from "./row-json.ts";
import { columnsOf } from "./row-versions.ts";

/** What a person thinks of deciding; `merge` asks for both sides' edits in one. */
export type Proposal = Decision | { readonly merge: true };

/** What became of a contested column in a merge. */
export interface MergedColumn {
  readonly column: string;
  /** How it was merged; null where there is no way to. */
  readonly kind: MergeKind | null;
  /** Why the two edits do not go together: names and places, never values. Null where they do. */
  readonly overlap: string | null;
}

export interface ConflictPreview {
  /** What to decide for it to become so; null where nothing could be merged. */
  readonly decision: Decision | null;
  /** What the row would be; null for none. Constraints and triggers of the database are not asked. */
  readonly row: RowJson | null;
  /** The columns in which it would be another than it is now. */
  readonly changed: readonly string[];
  /** Of a merge: the contested columns. */
  readonly merged: readonly MergedColumn[];
}

/**
 * What would come of a decision. Changes nothing. Throws `CONFLICT_COLUMN` (usage), `CONFLICT_INCOMPLETE` and `CONFLICT_NO_MERGE` (operator), and why the
 * row cannot be read. @param rule of the table, as the topology has it; null where it has the table no more. @param engine of the node.
 */
export async function previewDecision(
  shown: ShownConflict,
  proposal: Proposal,
  { rule, engine }: { readonly rule: ConflictRule | null; readonly engine: Engine },
): Promise<ConflictPreview> {
  if (shown.unreadable !== null) throw shown.unreadable;
  if (!("merge" in proposal)) return { decision: proposal, ...outcome(shown, proposal, engine), merged: [] };
  const columns = await mergedColumns(shown, rule);
  const set = Object.fromEntries(columns.flatMap(({ column, text }) => (text === undefined ? [] : [[column, text] as const])));
  const decision = Object.keys(set).length === 0 ? null : { set };
  const merged = columns.map(({ column, kind, overlap }) => ({ column, kind, overlap }));
  return { decision, ...outcome(shown, decision, engine), merged };
}

function outcome(shown: ShownConflict, decision: Decision | null, engine: Engine): Pick<ConflictPreview, "row" | "changed"> {
  const { record, now } = shown;
  const before = rowJson(now);
  if (decision === null) return { row: before, changed: [] };
  const wanted = decidedRow(record, read(shown, decision, engine), tableOf(shown), now);
  const after = wanted === null ? null : { ...before, ...rowJson(wanted) };
  const names = Object.keys(after ?? before ?? {});
  const isOther = (name: string): boolean => JSON.stringify(before?.[name] ?? null) !== JSON.stringify(after?.[name] ?? null);
  return { row: after, changed: before === null || after === null ? names : names.filter(isOther) };
}

/** Values stay the texts that were given: what the column's type makes of them is for the database to say. */
function read({ record, now }: ShownConflict, decision: Decision, engine: Engine): ReadDecision {
  if ("take" in decision) return decision;
  const alike = (a: string, b: string): boolean => (engine === "sqlite" ? a.toLowerCase() === b.toLowerCase() : a === b);
  return { set: Object.fromEntries(settableColumns(record, decision.set, tableOf({ record, now }), alike)) };
}

/** The columns that travel are those of the row; where there is none, those that the history knows. */
function tableOf({ record, now }: Pick<ShownConflict, "record" | "now">) {
  const known = now === null ? [record.base, record.parent, record.child, record.result] : [now];
  const names = columnsOf(known.map((row) => ({ title: "", row })));
  return { columns: names.map((name) => ({ name })), key: Object.keys(record.key) };
}

interface MergedText extends MergedColumn {
  /** Undefined where it stays as it is. */
  readonly text: string | null | undefined;
}

async function mergedColumns({ record, now }: ShownConflict, rule: ConflictRule | null): Promise<readonly MergedText[]> {
  const { child, base } = record;
  const parent = parentNow(record, now);
  if (parent === null || child === null) throw nothingToMerge(record, parent === null ? "the parent" : "the child");
  // the merges are a tenth of the program: loaded when somebody asks
  const { mergeColumn } = await import("../conflict/merge/merge-column.ts");
  const isContested = (column: string): boolean => Object.hasOwn(child, column) && !sameValue(parent[column], child[column]);
  const contested = record.columns ?? Object.keys(parent).filter(isContested);
  return contested.map((column): MergedText => {
    const edits = { base: base?.[column], parent: parent[column] ?? null, child: child[column] ?? null };
    const kind = kindOf(column, [edits.parent, edits.child], rule);
    if (typeof kind !== "string") return { column, kind: null, overlap: kind.not, text: undefined };
    const merged = mergeColumn(kind, edits);
    if ("overlap" in merged) return { column, kind, overlap: merged.overlap, text: undefined };
    const text = textOf(merged.value);
    return text === undefined ? { column, kind, overlap: "it is a blob", text } : { column, kind, overlap: null, text };
  });
}

/** The parent's side; where the row has changed since in a column, what it is now: a later edit is not lost by the merge. */
function parentNow({ parent, result }: ConflictRecord, now: Row | null): Row | null {
  if (now === null || parent === null) return parent === null ? null : now;
  const isLater = (column: string): boolean => result !== null && !sameValue(now[column], result[column]);
  const stays = (column: string): boolean => isLater(column) || !Object.hasOwn(parent, column);
  return Object.fromEntries(Object.entries(now).map(([column, value]) => [column, stays(column) ? value : (parent[column] ?? null)]));
}

/** As the topology says; where it is silent, text by text and JSON by JSON. */
function kindOf(column: string, values: readonly Value[], rule: ConflictRule | null): MergeKind | { readonly not: string } {
  const is = (name: string): boolean => name.toLowerCase() === column.toLowerCase();
  const named = Object.entries(rule?.mergeColumns ?? {}).find(([name]) => is(name))?.[1];
  if (named !== undefined) return named;
  if (rule?.groups.some((group) => group.some(is)) === true) return { not: "it belongs to others, and is taken from one side with them" };
  if (!values.every((value): value is string => typeof value === "string")) return { not: "the topology names no way to merge it" };
  return values.every(isJson) ? "json" : "text";
}

function isJson(text: string): boolean {
  if (!/^\s*[[{]/.test(text)) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function textOf(value: Value): string | null | undefined {
  if (value === null || typeof value === "string") return value;
  if ("i" in value) return value.i;
  return "r" in value ? realText(value.r) : undefined;
}

const nothingToMerge = ({ id, table }: ConflictRecord, who: string): TomboloError =>
  new TomboloError(`conflict ${id} in ${table} has nothing to merge: ${who} has no row`, {
    code: "CONFLICT_NO_MERGE",
    kind: "operator",
    hint: "Take one of the two sides, or give values.",
  });
