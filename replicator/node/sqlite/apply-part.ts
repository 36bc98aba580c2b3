import { TomboloError } from "../../change/error.ts";
import type { Part } from "../../change/packet.ts";
import { type ApplySession, blockedBy, setChangedAt } from "./apply-session.ts";
import { applyRow, inSavepoint } from "./attempt.ts";
import { danglingChanges } from "./dangling.ts";
import type { FastPath } from "./fast-path.ts";
import type { IncomingChange, IncomingTable } from "./incoming.ts";
import { park } from "./parked.ts";
import { describe, isRowError, isUniqueViolation } from "./row-error.ts";
import { applyTruncate } from "./truncate.ts";
import { applySwap } from "./unique-swap.ts";

/** What a packet is applied with. */
export interface PartTables {
  /** By index in the packet. */
  readonly tables: readonly IncomingTable[];
  /** The same tables such that those that are referred to come first. */
  readonly ordered: readonly IncomingTable[];
  /** Those with foreign keys that SQLite checks at the commit only; usually none. */
  readonly deferred: ReadonlySet<IncomingTable>;
  readonly fast: FastPath;
}

/**
 * Applies one part of a packet: inserts and updates, parents first, then deletes, children first; then those whose rows are not what they
 * were based on, one by one; then, as long as that helps, what the database refused the first time, since the order may have been the
 * problem. What still fails is parked.
 */
export function applyPart(session: ApplySession, tables: PartTables, part: Part): void {
  let group: IncomingChange[] = [];
  for (const change of part) {
    const table = tables.tables[change.table] as IncomingTable;
    if (change.op === "T") {
      applyGroup(session, tables, group);
      group = [];
      applyTruncate(session, table, change);
      continue;
    }
    if (session.blocked.size > 0 && session.blocked.has(blockedBy(table.name, change.key))) {
      park(session, table.shape, change, { code: "BEHIND_PARKED", reason: "an earlier change of this row is parked" });
      continue;
    }
    try {
      const incoming = table.incoming(change);
      if (session.judgedMeanwhile.isUnclear(incoming)) session.outcome.wanted.push({ table: table.name, key: change.key });
      else group.push(incoming);
    } catch (error) {
      if (!(error instanceof TomboloError)) throw error;
      park(session, table.shape, change, { code: error.code, reason: error.message });
    }
  }
  applyGroup(session, tables, group);
}

function applyGroup(session: ApplySession, tables: PartTables, group: readonly IncomingChange[]): void {
  if (group.length === 0) return;
  if (!group.some(({ table }) => tables.deferred.has(table))) {
    attemptAll(session, tables, group);
    return;
  }
  // what SQLite would find at the commit is found here, where it can still be told which change is to blame
  for (let rest = group; ; ) {
    const restore = session.outcome.checkpoint();
    const blocked = new Set(session.blocked);
    session.connection.exec("savepoint part");
    attemptAll(session, tables, rest);
    const dangling = danglingChanges(session.connection, tables.deferred, rest);
    if (dangling.size === 0) {
      session.connection.exec("release part");
      return;
    }
    session.connection.exec("rollback to part");
    session.connection.exec("release part");
    restore();
    session.mark.changedAt = null;
    session.blocked.clear();
    for (const key of blocked) session.blocked.add(key);
    for (const incoming of dangling) {
      park(session, incoming.table.shape, incoming.change, {
        code: "FOREIGN_KEY_VIOLATION",
        reason: "a deferred foreign key would be violated",
      });
    }
    rest = rest.filter((incoming) => !dangling.has(incoming));
    if (rest.length === 0) return;
  }
}

function attemptAll(session: ApplySession, tables: PartTables, group: readonly IncomingChange[]): void {
  const missed: IncomingChange[] = [];
  let refused: { incoming: IncomingChange; error: unknown }[] = [];
  const fast = (incoming: IncomingChange): void => {
    const outcome = attemptFast(session, tables.fast, incoming);
    if (outcome === false) missed.push(incoming);
    else if (outcome !== true) refused.push({ incoming, error: outcome.error });
  };
  for (const incoming of inOrder(group, tables.ordered)) fast(incoming);
  // a row may be free only now that others were deleted
  for (const incoming of missed.splice(0)) {
    const outcome = attemptFast(session, tables.fast, incoming);
    const error = outcome === true ? null : outcome === false ? attemptRow(session, incoming) : outcome.error;
    if (error !== null) refused.push({ incoming, error });
  }
  for (let progress = true; progress && refused.length > 0; ) {
    const again = refused;
    refused = [];
    for (const { incoming } of again) {
      const outcome = attemptFast(session, tables.fast, incoming);
      const error = outcome === true ? null : outcome === false ? attemptRow(session, incoming) : outcome.error;
      if (error !== null) refused.push({ incoming, error });
    }
    progress = refused.length < again.length;
  }
  const swaps = refused
    .filter(({ incoming, error }) => incoming.change.op === "U" && isUniqueViolation(error))
    .map(({ incoming }) => incoming);
  const swapped = swaps.length > 1 ? applySwap(session, swaps) : new Set<IncomingChange>();
  for (const { incoming, error } of refused) {
    if (!swapped.has(incoming)) park(session, incoming.table.shape, incoming.change, describe(error));
  }
}

/** Upserts by table, parents first, in log order; then deletes, children first, the youngest first. */
function* inOrder(group: readonly IncomingChange[], ordered: readonly IncomingTable[]): Generator<IncomingChange> {
  if (ordered.length === 1 && group.every(({ change }) => change.op !== "D")) {
    yield* group;
    return;
  }
  const upserts = new Map<IncomingTable, IncomingChange[]>();
  const deletes = new Map<IncomingTable, IncomingChange[]>();
  for (const incoming of group) {
    const lists = incoming.change.op === "D" ? deletes : upserts;
    const list = lists.get(incoming.table);
    if (list === undefined) lists.set(incoming.table, [incoming]);
    else list.push(incoming);
  }
  for (const table of ordered) yield* upserts.get(table) ?? [];
  for (const table of ordered.toReversed()) yield* (deletes.get(table) ?? []).toReversed();
}

function attemptFast(session: ApplySession, fast: FastPath, incoming: IncomingChange): boolean | { readonly error: unknown } {
  setChangedAt(session, incoming.change.changedAt);
  try {
    if (mayHaveBeenDeletedHere(session, incoming) || !fast.apply(incoming)) return false;
    session.outcome.count(incoming.change.op);
    return true;
  } catch (error) {
    if (!isRowError(error)) throw error;
    return { error };
  }
}

const attemptRow = (session: ApplySession, incoming: IncomingChange): unknown => inSavepoint(session, () => applyRow(session, incoming));

const mayHaveBeenDeletedHere = (session: ApplySession, { change, table }: IncomingChange): boolean =>
  change.op === "I" && session.context.from === "parent" && session.unjudged.any(table);
