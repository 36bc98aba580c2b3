import type { TableName } from "../../change/names.ts";
import { type ApplySession, prepared } from "./apply-session.ts";
import { textArray } from "./array-literal.ts";
import { type CapturedTable, inReferenceOrder } from "./captured-tables.ts";
import type { IncomingChange, IncomingTable, TextRow } from "./incoming.ts";
import { columnNamed, deleteStatement, insertStatement, updateStatement } from "./set-statements.ts";

/** Changes of one table and operation, and of one set of columns: what one statement applies. */
export interface ChangeSet {
  readonly op: "I" | "U" | "D";
  readonly table: IncomingTable;
  readonly columns: readonly string[];
  readonly changes: IncomingChange[];
}

/**
 * Sorts folded changes into sets in an order that foreign keys like: inserts and updates, referenced tables first, then
 * deletes, referring tables first. (Deletes last, because a row that was re-pointed must not go with its old parent's cascade.)
 */
export function changeSets(changes: readonly IncomingChange[]): ChangeSet[] {
  const sets = new Map<string, ChangeSet>();
  const tables = new Map<TableName, CapturedTable>();
  for (const incoming of changes) {
    const { op } = incoming.change;
    if (op === "T" || op === "R") continue;
    const { table } = incoming.table;
    tables.set(table.name, table);
    const columns = op === "D" ? [] : Object.keys(incoming.new as TextRow);
    const id = `${op}\0${table.name}\0${columns.join("\0")}`;
    const set = sets.get(id);
    if (set === undefined) sets.set(id, { op, table: incoming.table, columns, changes: [incoming] });
    else set.changes.push(incoming);
  }
  const order = new Map(inReferenceOrder([...tables.values()]).map((table, index) => [table.name, index]));
  const rank = (set: ChangeSet): number => {
    const place = order.get(set.table.table.name) ?? 0;
    return set.op === "D" ? 2_000_000 - place : place * 2 + (set.op === "U" ? 1 : 0);
  };
  return [...sets.values()].sort((a, b) => rank(a) - rank(b));
}

const statements = new WeakMap<CapturedTable, Map<string, string>>();

function statementFor(set: ChangeSet): string {
  const { table } = set.table;
  let known = statements.get(table);
  if (known === undefined) {
    known = new Map();
    statements.set(table, known);
  }
  const id = `${set.op}\0${set.columns.join("\0")}`;
  let text = known.get(id);
  if (text === undefined) {
    const columns = set.columns.map((name) => columnNamed(table, name));
    if (set.op === "I") text = insertStatement(table, columns);
    else if (set.op === "U") text = updateStatement(table, columns);
    else text = deleteStatement(table);
    known.set(id, text);
  }
  return text;
}

function parameters(set: ChangeSet, changes: readonly IncomingChange[]): string[] {
  const { table } = set.table;
  const column = (pick: (incoming: IncomingChange) => string | null): string => textArray(changes.map(pick));
  const value = (row: TextRow | null, name: string): string | null => row?.[name] ?? null;
  const keys = table.key.map((name) => column((incoming) => value(incoming.key, name)));
  if (set.op === "I") return set.columns.map((name) => column((incoming) => value(incoming.new, name)));
  if (set.op === "D") return [...keys, ...table.columns.map(({ name }) => column((incoming) => value(incoming.old, name)))];
  return [
    ...keys,
    ...set.columns.map((name) => column((incoming) => value(incoming.old, name))),
    ...set.columns.map((name) => column((incoming) => value(incoming.new, name))),
  ];
}

/** Applies what fits; answers the changes that do not, whose rows someone must look at. Throws the database's error as it is. */
export async function applySet(
  session: ApplySession,
  set: ChangeSet,
  changes: readonly IncomingChange[] = set.changes,
): Promise<IncomingChange[]> {
  const rows = await prepared(session.client, statementFor(set), parameters(set, changes));
  return rows.map(([ordinal]) => changes[Number(ordinal) - 1] as IncomingChange);
}
