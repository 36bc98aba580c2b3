import { type Row, sameValue, type Value } from "../../change/value.ts";
import type { ApplySession } from "./apply-session.ts";
import { changesSince, type LogEntry } from "./concurrent-changes.ts";
import { recordOverwritten } from "./history.ts";
import { asRow, type IncomingChange } from "./incoming.ts";
import { boundValue, type FoundRow, findRow, keyImage, rowOf } from "./rows.ts";
import { takenAlong } from "./taken-along.ts";
import { bringTo, deleteRow } from "./write-row.ts";

/** What this node has changed about a row and its parent has not judged yet. */
export interface PendingChange {
  readonly any: boolean;
  readonly deleted: boolean;
  /** Inserted: every column is ours until the verdict comes. */
  readonly whole: boolean;
  readonly columns: ReadonlySet<string>;
  /** Offered to the parent when the two met, as it may not have had it. */
  readonly offered: boolean;
}

/**
 * Applies one change of the parent whose row is not what the parent had. This node is a child: it obeys, except for columns that it has
 * changed itself and the parent has not judged yet; the verdict about those follows.
 */
export function obeyParent(session: ApplySession, incoming: IncomingChange): void {
  const { connection } = session;
  const { table } = incoming.table;
  const { op } = incoming.change;
  const found = findRow(connection, table, incoming.key);
  const current = rowOf(table, found);
  const pending = pendingChange(session, incoming, found);
  const after = incoming.new === null ? null : asRow(incoming.new);
  const key = incoming.key;
  session.outcome.count(op);
  if (op === "D" || (op === "R" && after === null)) {
    if (current === null) return;
    // it may have been deleted before the parent had what it was offered, and then it has come back there
    if (pending.offered) session.outcome.wanted.push({ table: table.name, key: incoming.change.key });
    if (pending.offered || pending.any) return;
    session.outcome.wanted.push(...takenAlong(session, { table, key }, incoming.table.shape.engine));
    deleteRow(connection, table, key);
    return;
  }
  // deleted here: the parent judges that first
  if (pending.deleted) return;
  if (current === null) {
    // part of a row is no row: ask for all of it
    if (op === "U") session.outcome.wanted.push({ table: table.name, key: incoming.change.key });
    else bringTo(connection, table, { key, current: null, wanted: after });
    return;
  }
  const wanted = withoutPending(after ?? {}, pending);
  if (op === "I" && session.header.kind === "fill" && !pending.any && differs(current, wanted)) {
    const keyRow = Object.fromEntries(table.key.map((name, at) => [name, boundValue(key[at] ?? null)]));
    recordOverwritten(session, { table, key: keyRow, current, wanted: { ...current, ...wanted } });
  }
  bringTo(connection, table, { key, current, wanted });
}

const differs = (current: Row, wanted: Row): boolean => Object.keys(wanted).some((name) => !sameValue(wanted[name], current[name]));

function withoutPending(row: Row, pending: PendingChange): Row {
  if (pending.whole) return {};
  return Object.fromEntries(Object.entries(row).filter(([name]) => !pending.columns.has(name))) as { [column: string]: Value };
}

function pendingChange(session: ApplySession, incoming: IncomingChange, found: FoundRow | undefined): PendingChange {
  const { table, rule } = incoming.table;
  if (rule.oneWay === true) return pendingOf([], found);
  const entries = changesSince(session.connection, {
    tableId: table.id,
    key: found?.key ?? keyImage(session.connection, table, incoming.key),
    position: session.header.seen[rule.channel] ?? null,
    exceptFrom: session.peer.id,
    offeredTo: session.peer.id,
  });
  return pendingOf(entries, found);
}

/**
 * Entries newest first. A touch alone is nothing, unless the row that it saw is gone. What was offered holds nothing back but a deletion: the parent's rows are
 * taken, and what differs is judged there.
 */
export function pendingOf(told: readonly LogEntry[], found: FoundRow | undefined): PendingChange {
  const entries = told.filter(({ offered }) => !offered);
  const changes = entries.filter(({ op }) => op !== "H");
  const replaced = entries[0]?.op === "H" && found === undefined;
  const columns = new Set<string>();
  for (const { changed } of changes) for (const name of changed) columns.add(name);
  return {
    any: changes.length > 0 || replaced,
    deleted: replaced || changes[0]?.op === "D",
    whole: changes.some(({ op }) => op === "I"),
    columns,
    offered: entries.length < told.length,
  };
}
