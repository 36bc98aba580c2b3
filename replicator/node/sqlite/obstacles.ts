import { TomboloError } from "../../change/error.ts";
import { type Row, sameValue } from "../../change/value.ts";
import { PLAIN_RULE } from "../../change/verdict.ts";
import type { ParkedObstacle } from "../parked-desk.ts";
import type { CapturedTable } from "./captured-tables.ts";
import type { Connection } from "./connection.ts";
import { type InTheWay, inTheWay } from "./in-the-way.ts";
import { asRow, type IncomingTable, type NamedValues } from "./incoming.ts";
import { incomingTable } from "./incoming-table.ts";
import { type ParkedChange, parkedChanges } from "./parked.ts";
import type { ParkedRow } from "./parked-row.ts";
import { isRowError } from "./row-error.ts";
import { stored } from "./rows.ts";

/** Parked inserts that are looked through for the one that would bring a missing row. */
const MOST_LOOKED_THROUGH = 1000;

/** The rows that keep a parked change from being applied. None where a check, a trigger or a value refuses it. */
export function obstaclesOf(
  connection: Connection,
  parked: {
    readonly incoming: IncomingTable;
    readonly parked: ParkedChange;
    readonly row: ParkedRow;
    readonly peerId: number;
    readonly tables: ReadonlyMap<string, CapturedTable>;
  },
): ParkedObstacle[] {
  const { incoming, row, tables, peerId } = parked;
  try {
    const { key, new: changed } = incoming.incoming(parked.parked.change);
    // of an update, only what it changes; where the row is not here, all of it would have to be
    const written = parked.parked.change.op === "U" && row.now === null ? wholeRow(row.base, changed) : changed;
    return inTheWay(connection, { table: incoming.table, key, row: written }, tables).map((one) =>
      obstacle(connection, peerId, one, tables),
    );
  } catch (error) {
    if (!(error instanceof TomboloError) && !isRowError(error)) throw error;
    return [];
  }
}

const wholeRow = (base: Row | null, changed: NamedValues | null): NamedValues => {
  const row = { ...base, ...(changed === null ? {} : asRow(changed)) };
  return { set: { names: Object.keys(row) }, values: Object.values(row).map((value) => stored(value ?? null)) };
};

function obstacle(
  connection: Connection,
  peerId: number,
  { kind, constraint, columns, other }: InTheWay,
  tables: ReadonlyMap<string, CapturedTable>,
): ParkedObstacle {
  const table = kind === "missing" ? [...tables.values()].find(({ name }) => name === other.captured) : undefined;
  return {
    kind,
    constraint,
    columns,
    table: other.table,
    row: other.row,
    parked: table === undefined ? null : bringing(connection, peerId, table, other.row),
  };
}

/** The parked insert of the peer's that would write these values. */
function bringing(connection: Connection, peerId: number, table: CapturedTable, values: Row): bigint | null {
  const where =
    "c.id in (select i.id from tombolo_parked_change i where i.peer_id = :peer and i.op = 'I' and i.table_name = :table order by i.id limit :most)";
  for (const { change, shape, ids } of parkedChanges(connection, peerId, where, { table: table.name, most: MOST_LOOKED_THROUGH })) {
    const incoming = incomingTable(connection, { table, shape, rule: { ...PLAIN_RULE, table: table.name, channel: table.channel } });
    const { new: row } = incoming.incoming(change);
    const now = row === null ? {} : asRow(row);
    if (Object.entries(values).every(([name, value]) => sameValue(now[name], value))) return ids[0] ?? null;
  }
  return null;
}
