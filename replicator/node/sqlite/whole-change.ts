import { TomboloError } from "../../change/error.ts";
import type { ApplySession } from "./apply-session.ts";
import type { Constraints } from "./constraints.ts";
import { isOld, oldParameters } from "./fast-path.ts";
import { quote } from "./identifier.ts";
import type { IncomingChange, IncomingTable } from "./incoming.ts";
import { withoutReferrers } from "./referrers.ts";
import { type Bindable, keyCondition, prepared } from "./rows.ts";

export type RulesOf = (table: IncomingTable) => Constraints;

/** Like the errors that brought us here: the changes stay refused. */
export const notPossible = (): TomboloError =>
  new TomboloError("the values cannot be handed around", { code: "FOREIGN_KEY_VIOLATION", kind: "operator" });

export const keyValues = ({ table, key }: IncomingChange): { readonly condition: string; readonly values: readonly Bindable[] } => ({
  condition: keyCondition(table.table),
  values: key,
});

/** Deletes the row that the change was based on; throws where it is another, or would take rows along that the child has not seen. */
export function deleteOld(session: ApplySession, incoming: IncomingChange): void {
  const { table, old } = incoming;
  if (old === null) throw notPossible();
  const free = withoutReferrers(session.connection, table.table, session.context);
  const sql = `delete from ${quote(table.table.local)} where ${keyCondition(table.table)} and ${isOld(old.set)}${free === null ? "" : ` and ${free}`}`;
  must(prepared(session.connection, sql).run(...incoming.key, ...oldParameters(old.set, old.values)).changes);
}

export function updateOld(session: ApplySession, incoming: IncomingChange, standIns: ReadonlyMap<string, Bindable>): void {
  const { table, old, new: row } = incoming;
  if (old === null || row === null || row.set.names.length === 0) throw notPossible();
  const sets = row.set.names.map((name) => `${quote(name)} = ?`).join(", ");
  const sql = `update or abort ${quote(table.table.local)} set ${sets} where ${keyCondition(table.table)} and ${isOld(old.set)}`;
  const values = written(incoming, standIns);
  must(prepared(session.connection, sql).run(...values, ...incoming.key, ...oldParameters(old.set, old.values)).changes);
}

export function insertNew(session: ApplySession, incoming: IncomingChange, standIns: ReadonlyMap<string, Bindable> = new Map()): void {
  const names = incoming.new?.set.names ?? [];
  const sql = `insert or abort into ${quote(incoming.table.table.local)} (${names.map(quote).join(", ")}) values (${names.map(() => "?").join(", ")})`;
  prepared(session.connection, sql).run(...written(incoming, standIns));
}

const written = ({ new: row }: IncomingChange, standIns: ReadonlyMap<string, Bindable>): Bindable[] =>
  (row?.set.names ?? []).map((name, at) => (standIns.has(name) ? (standIns.get(name) ?? null) : (row?.values[at] ?? null)));

function must(changes: number): void {
  if (changes === 0) throw notPossible();
}
