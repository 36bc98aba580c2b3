import type { Change } from "../../change/change.ts";
import { TomboloError } from "../../change/error.ts";
import { foldGroup } from "../../change/fold.ts";
import { netOfParked } from "../../change/net-of-parked.ts";
import type { TableShape } from "../../change/shape.ts";
import { kindOfRefusal } from "../parked-desk.ts";
import type { ApplySession } from "./apply-session.ts";
import { applyEach, type Tools } from "./care.ts";
import { isoTime } from "./clock.ts";
import { giveUp } from "./give-up.ts";
import type { IncomingChange, IncomingTable } from "./incoming.ts";
import { incomingTable } from "./incoming-table.ts";
import { type ParkedChange, park, parkedChanges, unpark } from "./parked.ts";
import { putRefresh } from "./refresh.ts";

/** A change of a row that has a parked one. */
export interface Arrived {
  readonly table: IncomingTable;
  readonly change: Change;
}

/**
 * Changes of rows that have a parked one: each pair is tried as its net, so that a child that mends its row mends what was refused.
 * What is still refused stays parked, as that net.
 */
export function applyLate(session: ApplySession, arrived: readonly Arrived[], tools: Tools): void {
  const nets = new Map<IncomingChange, ParkedChange>();
  for (const { table, change } of arrived) {
    const [before] = parkedChanges(session.connection, session.peer.id, "c.table_name = :table and c.key = :key", {
      table: table.name,
      key: change.key,
    });
    if (before === undefined) continue;
    const net = netOf(session, table, before, change);
    const merged = withColumnsOf(session, table, before.shape);
    try {
      const incoming = merged.incoming(net);
      session.late.set(incoming, before.seen);
      nets.set(incoming, before);
    } catch (error) {
      if (!(error instanceof TomboloError)) throw error;
      park(session, { table: merged, change: net, incoming: null, error });
    }
  }
  const refused = applyEach(session, [...nets.keys()], tools);
  for (const { incoming, error } of refused) park(session, { table: incoming.table, change: incoming.change, incoming, error });
  const still = new Set(refused.map(({ incoming }) => incoming));
  for (const [incoming, before] of nets) {
    if (still.has(incoming)) continue;
    unpark(session, before);
    tellHowItIs(session, incoming);
  }
}

/**
 * A change went through that had been parked. Between then and now its sender may have been told other things of the row than it assumed: a child
 * is sent the row as it is, and a parent is asked for it.
 */
export function tellHowItIs(session: ApplySession, incoming: IncomingChange): void {
  const { table } = incoming.table;
  if (session.context.from === "parent") session.outcome.wanted.push({ table: table.name, key: incoming.change.key });
  else putRefresh(session.connection, { table, key: incoming.key, peer: session.peer.id, at: isoTime(session.clock()) });
}

function netOf(session: ApplySession, table: IncomingTable, before: ParkedChange, change: Change): Change {
  if (session.context.from === "parent") {
    const [net] = foldGroup([{ ...before.change, table: change.table }, change]);
    return net ?? change;
  }
  const { net, superseded } = netOfParked(before.change, change);
  if (superseded) {
    const { connection, clock, peer } = session;
    giveUp({ connection, clock }, { table, parked: before, child: peer.name, how: "superseded", by: "policy" });
    session.outcome.conflict(before.table, kindOfRefusal(before.code), "parent");
  }
  return net;
}

/** A parked change may hold columns that its sender has dropped since: with them, it waits until they are dropped here, too. */
function withColumnsOf({ connection }: ApplySession, table: IncomingTable, older: TableShape): IncomingTable {
  const { shape, rule } = table;
  const more = older.columns.filter(({ name }) => !shape.columns.some((column) => column.name === name));
  return more.length === 0
    ? table
    : incomingTable(connection, { table: table.table, shape: { ...shape, columns: [...shape.columns, ...more] }, rule });
}
