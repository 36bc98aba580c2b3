import type { Change } from "../../change/change.ts";
import { TomboloError } from "../../change/error.ts";
import type { TableName } from "../../change/names.ts";
import { type ApplySession, blockedBy, setChangedAt } from "./apply-session.ts";
import { inSavepoint } from "./attempt.ts";
import { imageOf, keyColumns } from "./capture.ts";
import { shapeIds } from "./captured-tables.ts";
import { changesSince, OWN_OR_OFFERED } from "./concurrent-changes.ts";
import { pendingOf } from "./from-parent.ts";
import { quote } from "./identifier.ts";
import { literalToValue, splitImage } from "./image.ts";
import type { IncomingTable } from "./incoming.ts";
import { park } from "./parked.ts";
import { stored } from "./rows.ts";
import { deleteRow } from "./write-row.ts";

/** Empties a table because its parent did; rows that this node has changed and the parent has not judged yet stay until it has. */
export function applyTruncate(session: ApplySession, incoming: IncomingTable, change: Change): void {
  if (session.context.from === "child") {
    const error = new TomboloError("a child emptied the whole table; here, where others share it, only a person may decide that", {
      code: "TRUNCATE_FROM_CHILD",
      kind: "operator",
    });
    park(session, { table: incoming, change, incoming: null, error });
    return;
  }
  if (incoming.misfit !== null) {
    park(session, { table: incoming, change, incoming: null, error: incoming.misfit });
    return;
  }
  setChangedAt(session, change.changedAt);
  const error = inSavepoint(session, () => {
    truncate(session, incoming);
    session.outcome.count("T");
  });
  if (error !== null) park(session, { table: incoming, change, incoming: null, error });
}

function truncate(session: ApplySession, { table, rule }: IncomingTable): void {
  const { connection } = session;
  const name = quote(table.local);
  const position = session.header.seen[rule.channel] ?? 0n;
  const touched = connection
    .prepare(
      `select distinct key from tombolo_change where table_id in (${shapeIds(connection, table.id).join(", ")})
          and seq > ? and ${OWN_OR_OFFERED}`,
    )
    .pluck()
    .all(position, session.peer.id, session.peer.id) as string[];
  const { id: peer } = session.peer;
  const isKept = (key: string): boolean => {
    const own = changesSince(connection, { tableId: table.id, key, position, exceptFrom: peer, offeredTo: peer });
    const { any, offered } = pendingOf(own, undefined);
    return any || offered;
  };
  const kept = new Set(touched.filter((key) => rule.oneWay !== true && isKept(key)));
  if (kept.size === 0) {
    connection.exec(`delete from ${name}`);
    forgetParked(session, table.name);
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
  forgetParked(session, table.name);
}

/** What was parked of the table came before. */
function forgetParked({ connection, peer, blocked }: ApplySession, table: TableName): void {
  connection.prepare("delete from tombolo_parked_change where peer_id = ? and table_name = ?").run(peer.id, table);
  for (const id of [...blocked]) if (id.startsWith(blockedBy(table, ""))) blocked.delete(id);
}
