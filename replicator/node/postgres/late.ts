import type { Change } from "../../change/change.ts";
import { TomboloError } from "../../change/error.ts";
import { foldGroup } from "../../change/fold.ts";
import { netOfParked } from "../../change/net-of-parked.ts";
import type { TableShape } from "../../change/shape.ts";
import { kindOfRefusal } from "../parked-desk.ts";
import { type ApplySession, blockedBy } from "./apply-session.ts";
import { oneByOne } from "./care.ts";
import { giveUp } from "./give-up.ts";
import { type IncomingChange, IncomingTable } from "./incoming.ts";
import { type ParkedChange, park, parkedChanges, unapplied, unpark } from "./parked.ts";
import { putRefresh } from "./refresh.ts";

type Arrived = Pick<IncomingChange, "table" | "change">;

/**
 * Changes of rows that have a parked one: each pair is tried as its net, so that a child that mends its row mends what was refused.
 * What is still refused stays parked, as that net.
 */
export async function applyLate(session: ApplySession, arrived: readonly Arrived[]): Promise<void> {
  const parked = await parkedRows(session, arrived);
  const nets = new Map<IncomingChange, ParkedChange>();
  for (const { table, change } of arrived) {
    const before = parked.get(blockedBy(table.table.name, change.key));
    if (before === undefined) continue;
    const net = await netOf(session, table, before, change);
    const merged = withColumnsOf(table, before.shape);
    try {
      const incoming = merged.incoming(net);
      session.late.set(incoming, before.seen);
      nets.set(incoming, before);
    } catch (error) {
      if (!(error instanceof TomboloError)) throw error;
      await park(session, [{ table: merged, change: net, error }]);
    }
  }
  const refused = await oneByOne(session, [...nets.keys()]);
  await park(session, refused.map(unapplied));
  const still = new Set(refused.map(({ incoming }) => incoming));
  const through = [...nets].filter(([incoming]) => !still.has(incoming));
  await unpark(
    session,
    through.map(([, before]) => before),
  );
  for (const [incoming] of through) await tellHowItIs(session, incoming);
}

/**
 * A change went through that had been parked. Between then and now its sender may have been told other things of the row than it assumed: a child
 * is sent the row as it is, and a parent is asked for it.
 */
export async function tellHowItIs(session: ApplySession, incoming: IncomingChange): Promise<void> {
  const { table } = incoming.table;
  if (session.context.from === "child") await putRefresh(session, table, { key: incoming.key, peerId: session.peer.id, changedAt: null });
  else session.outcome.wanted.push({ table: table.name, key: incoming.change.key });
}

async function netOf(session: ApplySession, table: IncomingTable, before: ParkedChange, change: Change): Promise<Change> {
  if (session.context.from === "parent") {
    const [net] = foldGroup([{ ...before.change, table: change.table }, change]);
    return net ?? change;
  }
  const { net, superseded } = netOfParked(before.change, change);
  if (superseded) {
    await giveUp(session, { table, parked: before, child: session.peer.name, how: "superseded", by: "policy" });
    session.outcome.conflict(before.table, kindOfRefusal(before.code), "parent");
  }
  return net;
}

async function parkedRows(session: ApplySession, arrived: readonly Arrived[]): Promise<Map<string, ParkedChange>> {
  const tables = arrived.map(({ table }) => table.table.name);
  const keys = arrived.map(({ change }) => change.key);
  const where = "(c.table_name, c.key::text) in (select * from unnest($2::text[], $3::text[]))";
  const found = await parkedChanges(session.client, session.peer.id, where, [tables, keys]);
  return new Map(found.map((parked) => [blockedBy(parked.table, parked.change.key), parked]));
}

/** A parked change may hold columns that its sender has dropped since: with them, it waits until they are dropped here, too. */
function withColumnsOf(table: IncomingTable, older: TableShape): IncomingTable {
  const { shape } = table;
  const more = older.columns.filter(({ name }) => !shape.columns.some((column) => column.name === name));
  if (more.length === 0) return table;
  return new IncomingTable(table.table, { ...shape, columns: [...shape.columns, ...more] }, table.rule);
}
