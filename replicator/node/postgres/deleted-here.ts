import { type ApplySession, prepared } from "./apply-session.ts";
import { textArray } from "./array-literal.ts";
import { typed } from "./column-sql.ts";
import { ownOrOffered } from "./concurrent-changes.ts";
import type { ChangeSet } from "./fast-path.ts";
import { ident } from "./identifier.ts";
import type { IncomingChange } from "./incoming.ts";
import { deleteRow } from "./rows.ts";
import { columnNamed } from "./set-statements.ts";

/**
 * Takes back what an insert of the parent's has brought back although it was deleted here and the parent has not judged that
 * yet; answers those changes. Looked at after the insert: whatever was deleted before it is in the log by now.
 */
export async function takeBackDeleted(
  session: ApplySession,
  set: ChangeSet,
  inserted: readonly IncomingChange[],
): Promise<IncomingChange[]> {
  const { table } = set.table;
  if (set.op !== "I" || unjudged(session, set) === null || inserted.length === 0) return [];
  await session.gate.complete();
  const takenBack = await changedHere(session, set, inserted);
  for (const incoming of takenBack) await deleteRow(session, table, incoming.key);
  return takenBack;
}

/**
 * The deletions of the parent's, and the updates of counters, whose rows were inserted, changed or offered here and the parent has not judged yet: a row that is what the
 * parent deleted may be another one, made here since, and a counter that stands at the parent's number may have come there by what was added here. Someone must
 * look at them.
 */
export async function pendingHere(session: ApplySession, set: ChangeSet, changes: readonly IncomingChange[]): Promise<IncomingChange[]> {
  if (set.op === "I" || unjudged(session, set) === null || changes.length === 0) return [];
  await session.gate.complete();
  return changedHere(session, set, changes);
}

/** What of this node's own makes a set of the parent's one to be looked at, as an array of operations; null where nothing does. */
export function unjudged(
  { context }: Pick<ApplySession, "context">,
  { op, table: { rule }, columns }: Pick<ChangeSet, "op" | "table" | "columns">,
): string | null {
  if (context.from !== "parent" || rule.oneWay === true) return null;
  if (op === "U") return columns.some((name) => rule.mergeColumns[name] === "counter") ? "{I,U}" : null;
  return op === "I" ? "{D}" : "{I,U,D}";
}

/**
 * Those of the changes whose rows this node's own log has among what the parent has not judged, what it was offered included. The log must be complete. The
 * question is asked before this returns.
 */
export async function changedHere(
  session: Pick<ApplySession, "client" | "hstore" | "peer" | "header" | "context">,
  set: Pick<ChangeSet, "op" | "table" | "columns">,
  changes: readonly IncomingChange[],
): Promise<IncomingChange[]> {
  const { client, hstore } = session;
  const { table, rule } = set.table;
  const keys = table.key.map((name) => columnNamed(table, name));
  const arrays = keys.map((_, index) => `$${index + 5}::text[]`).join(", ");
  const names = keys.map((_, index) => `a${index}`).join(", ");
  const key = keys.map((column, index) => `${typed(`a${index}`, column)} as ${ident(column.name)}`).join(", ");
  const rows = await prepared(
    client,
    `with since as (
        select coalesce((select snapshot from tombolo.tick where position >= nullif($3::bigint, 0) order by position limit 1), '1:1:') as snapshot),
      own as materialized (
        select distinct c.key from since, tombolo.change c
         where c.table_id = $1::int and ${ownOrOffered("$2")} and c.op = any ($4::"char"[])
           and c.xid >= pg_snapshot_xmin(since.snapshot) and not pg_visible_in_snapshot(c.xid, since.snapshot))
      select told.ord from own join (
        select ord, (select ${hstore}.hstore(r.*) from (select ${key}) as r) as key from unnest(${arrays}) with ordinality as u(${names}, ord)
         where exists (select from own)) as told on own.key operator(${hstore}.=) told.key`,
    [
      table.id,
      session.peer.id,
      (session.header.seen[rule.channel] ?? 0n).toString(),
      unjudged(session, set),
      ...table.key.map((name) => textArray(changes.map((incoming) => incoming.key[name] ?? null))),
    ],
  );
  return (rows as [string][]).map(([ordinal]) => changes[Number(ordinal) - 1] as IncomingChange);
}
