import { TomboloError } from "../../change/error.ts";
import type { Reference } from "../../change/shape.ts";
import { writtenRow } from "../references.ts";
import { type ApplySession, blockedBy, setChangedAt } from "./apply-session.ts";
import type { FastPath } from "./fast-path.ts";
import { resolveFromChild } from "./from-child.ts";
import { obeyParent } from "./from-parent.ts";
import type { IncomingChange, IncomingTable } from "./incoming.ts";
import { isRowError } from "./row-error.ts";

/** A change that the database refused. */
export interface Refused {
  readonly incoming: IncomingChange;
  readonly error: unknown;
}

/**
 * A statement where the row is what the change was based on; otherwise by looking at the row. Null, or the error when it was refused. What a
 * parent refuses is looked at, too: two edits may only be wrong together.
 */
export function attempt(session: ApplySession, fast: FastPath, incoming: IncomingChange): unknown {
  const outcome = attemptFast(session, fast, incoming);
  if (outcome === true) return null;
  if (outcome !== false && session.context.from === "parent") return outcome.error;
  return inSavepoint(session, () => applyRow(session, incoming));
}

/** True when it was applied; false when someone must look at the row. */
export function attemptFast(session: ApplySession, fast: FastPath, incoming: IncomingChange): boolean | { readonly error: unknown } {
  const waits = waitsForParked(session, incoming);
  if (waits !== null) return { error: waits };
  setChangedAt(session, incoming.change.changedAt);
  try {
    if (isPendingHere(session, incoming) || !session.scope.plainlyHas(incoming) || !fast.apply(incoming)) return false;
    session.outcome.count(incoming.change.op);
    return true;
  } catch (error) {
    if (!isRowError(error)) throw error;
    return { error };
  }
}

/**
 * Inserts that stand one after the other, by one statement; false when nothing was done, and each is to be attempted by itself. All are of one table and
 * set of columns.
 */
export function attemptInserts(session: ApplySession, fast: FastPath, inserts: readonly IncomingChange[]): boolean {
  const [first] = inserts as readonly [IncomingChange];
  if (isPendingHere(session, first)) return false;
  for (const incoming of inserts) if (waitsForParked(session, incoming) !== null || !session.scope.plainlyHas(incoming)) return false;
  setChangedAt(session, first.change.changedAt);
  if (!fast.insertAll(inserts)) return false;
  session.outcome.applied.insert += inserts.length;
  return true;
}

/**
 * An insert of a row that may have been deleted here, a deletion of one that may have been made here, or an update of a counter that may stand at the parent's number
 * by what was added here; and the parent has not judged that.
 */
const isPendingHere = (session: ApplySession, { change, table, new: row }: IncomingChange): boolean => {
  if (session.context.from !== "parent") return false;
  if (change.op === "I") return session.unjudged.anyDeleted(table);
  if (change.op === "U" && row?.set.names.some((name) => table.rule.mergeColumns[name] === "counter") !== true) return false;
  return session.unjudged.any(table);
};

/** One change, by looking at its row. */
function applyRow(session: ApplySession, incoming: IncomingChange): void {
  const waits = waitsForParked(session, incoming);
  if (waits !== null) throw waits;
  const seen = session.late.get(incoming);
  if (session.context.from === "parent") obeyParent(session, incoming);
  // a change that was parked is judged by what its sender knew then
  else if (seen === undefined) resolveFromChild(session, incoming);
  else
    resolveFromChild(
      { ...session, header: { ...session.header, seen: { ...session.header.seen, [incoming.table.rule.channel]: seen } } },
      incoming,
    );
}

/** The refusal of a row that refers, by a foreign key of its sender's, to one whose insert is parked; null for others. */
export function waitsForParked(session: ApplySession, { change, table }: Pick<IncomingChange, "change" | "table">): TomboloError | null {
  const { references = [] } = table.shape;
  if (session.waiting.isEmpty || references.length === 0 || change.new === null) return null;
  const own = blockedBy(table.name, change.key);
  const [found] = session.waiting
    .referredBy({ table: table.name, row: writtenRow(change), references })
    .filter(({ items }) => items.size > 1 || !items.has(own));
  return found === undefined ? null : refersToParked(table, found.reference);
}

export function refersToParked({ name }: IncomingTable, reference?: Reference): TomboloError {
  const which = reference === undefined ? "" : ` (${reference.columns.join(", ")}) to ${reference.table}`;
  return new TomboloError(`foreign key${which} of ${name}: the row that it refers to is not there, but parked`, {
    code: "FOREIGN_KEY_VIOLATION",
    kind: "operator",
  });
}

/** Null when it went through; the error, and nothing done, when the database refused it. Other errors are thrown. */
export function inSavepoint(session: ApplySession, work: () => void): unknown {
  const restore = session.outcome.checkpoint();
  session.connection.exec("savepoint attempt");
  try {
    work();
  } catch (error) {
    if (!isRowError(error)) throw error;
    session.connection.exec("rollback to attempt");
    session.connection.exec("release attempt");
    restore();
    // the mark of the transaction may have been rolled back as well
    session.mark.changedAt = null;
    return error;
  }
  session.connection.exec("release attempt");
  return null;
}
