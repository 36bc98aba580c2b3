import type { TableName } from "../../change/names.ts";
import { PLAIN_RULE } from "../../change/verdict.ts";
import type { ParkedObstacle } from "../parked-desk.ts";
import type { CapturedTable } from "./captured-tables.ts";
import { ConstraintReader } from "./constraints.ts";
import { type InTheWay, inTheWay } from "./in-the-way.ts";
import { IncomingTable, type TextRow } from "./incoming.ts";
import { type ParkedChange, parkedChanges } from "./parked.ts";
import type { ParkedRow } from "./parked-row.ts";
import { isRowError } from "./row-error.ts";
import type { RowAccess } from "./rows.ts";

/** Parked inserts that are looked through for the one that would bring a missing row. */
const MOST_LOOKED_THROUGH = 1000;

/** The rows that keep a parked change from being applied. None where a check, a trigger or a value refuses it. */
export async function obstaclesOf(
  access: RowAccess,
  parked: {
    readonly incoming: IncomingTable;
    readonly parked: ParkedChange;
    readonly row: ParkedRow;
    readonly peerId: number;
    readonly tables: ReadonlyMap<TableName, CapturedTable>;
  },
): Promise<ParkedObstacle[]> {
  const { incoming, row, tables } = parked;
  const { op } = parked.parked.change;
  await access.client.query("savepoint obstacles");
  try {
    const { key, new: changed } = incoming.incoming(parked.parked.change);
    // of an update, only what it changes; where the row is not here, all of it would have to be
    const written = op === "U" && row.now === null ? ({ ...row.theirs, ...changed } as TextRow) : changed;
    const found = await inTheWay(access, { table: incoming.table, key, row: written }, new ConstraintReader(access.client), tables);
    const obstacles: ParkedObstacle[] = [];
    for (const one of found) obstacles.push(await obstacle(access, parked.peerId, one, tables));
    return obstacles;
  } catch (error) {
    if (!isRowError(error)) throw error;
    await access.client.query("rollback to savepoint obstacles");
    return [];
  }
}

async function obstacle(
  access: RowAccess,
  peerId: number,
  { kind, constraint, columns, other }: InTheWay,
  tables: ReadonlyMap<TableName, CapturedTable>,
): Promise<ParkedObstacle> {
  const table = other.captured === null ? undefined : tables.get(other.captured);
  const parked = kind === "missing" && table !== undefined ? await bringing(access, peerId, table, other.row) : null;
  return { kind, constraint, columns, table: other.table, row: other.row, parked };
}

/** The parked insert of the peer's that would write these values. */
async function bringing(access: RowAccess, peerId: number, table: CapturedTable, values: InTheWay["other"]["row"]): Promise<bigint | null> {
  const where =
    "c.id in (select i.id from tombolo.parked_change i where i.peer_id = $1 and i.op = 'I' and i.table_name = $2 order by i.id limit $3)";
  const inserts = await parkedChanges(access.client, peerId, where, [table.name, MOST_LOOKED_THROUGH]);
  for (const { change, shape, ids } of inserts) {
    const row = new IncomingTable(table, shape, { ...PLAIN_RULE, table: table.name, channel: table.channel }).image(change.new, "new");
    const same = row !== null && Object.entries(values).every(([name, value]) => row.values[row.layout.places.get(name) ?? -1] === value);
    if (same) return BigInt(ids[0] as string);
  }
  return null;
}
