import type { Change } from "../../change/change.ts";
import { type ApplySession, setChangedAt } from "./apply-session.ts";
import { inSavepoint } from "./attempt.ts";
import { imageOf, keyColumns } from "./capture.ts";
import { changesSince } from "./concurrent-changes.ts";
import { pendingOf } from "./from-parent.ts";
import { quote } from "./identifier.ts";
import { literalToValue, splitImage } from "./image.ts";
import type { IncomingTable } from "./incoming.ts";
import { park } from "./parked.ts";
import { describe } from "./row-error.ts";
import { stored } from "./rows.ts";
import { deleteRow } from "./write-row.ts";

/** Empties a table because its parent did; rows that this node has changed and the parent has not judged yet stay until it has. */
export function applyTruncate(session: ApplySession, incoming: IncomingTable, change: Change): void {
  if (session.context.from === "child") {
    park(session, incoming.shape, change, {
      code: "TRUNCATE_FROM_CHILD",
      reason: "a child emptied the whole table; here, where others share it, only a person may decide that",
    });
    return;
  }
  if (incoming.misfit !== null) {
    park(session, incoming.shape, change, describe(incoming.misfit));
    return;
  }
  setChangedAt(session, change.changedAt);
  const error = inSavepoint(session, () => {
    truncate(session, incoming);
    session.outcome.count("T");
  });
  if (error !== null) park(session, incoming.shape, change, describe(error));
}

function truncate(session: ApplySession, { table, rule }: IncomingTable): void {
  const { connection } = session;
  const name = quote(table.local);
  const position = session.header.seen[rule.channel] ?? 0n;
  const touched = connection
    .prepare(
      "select distinct key from tombolo_change where table_id = ? and seq > ? and target is null and (origin is null or origin <> ?)",
    )
    .pluck()
    .all(table.id, position, session.peer.id) as string[];
  const kept = new Set(
    touched.filter(
      (key) =>
        rule.oneWay !== true &&
        pendingOf(changesSince(connection, { tableId: table.id, key, position, exceptFrom: session.peer.id }), undefined).any,
    ),
  );
  if (kept.size === 0) {
    connection.exec(`delete from ${name}`);
    return;
  }
  const keys = connection
    .prepare(`select ${imageOf(keyColumns(table), name)} from ${name}`)
    .pluck()
    .all() as string[];
  for (const key of keys) {
    if (!kept.has(key))
      deleteRow(
        connection,
        table,
        splitImage(key).map((literal) => stored(literalToValue(literal))),
      );
  }
}
