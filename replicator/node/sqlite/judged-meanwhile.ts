import type { Position } from "../../change/names.ts";
import type { PacketHeader } from "../../change/packet.ts";
import { shapeIds, storedShapes } from "./captured-tables.ts";
import { changedColumns } from "./concurrent-changes.ts";
import type { Connection } from "./connection.ts";
import type { Image } from "./image.ts";
import type { IncomingChange, IncomingTable } from "./incoming.ts";
import { LOG_OF_KEY, logKeys } from "./log-keys.ts";
import { keyImage, prepared, quickImage } from "./rows.ts";

/** Columns of a row that this node changed; null is all of them. */
type Touched = ReadonlySet<string> | null;

interface Range {
  readonly after: bigint;
  readonly upTo: bigint;
  readonly peerId: number;
}

/**
 * This node's own changes that its parent judged between the last packet and this one, and so somewhere among what the packet tells; it
 * leaves them out as echoes, and does not say where. What it says about the same columns may be older or newer than this node's row: such
 * rows are asked for (see `Target.apply`).
 */
export class JudgedMeanwhile {
  readonly #connection: Connection;
  readonly #rows = new Map<IncomingTable, ReadonlyMap<Image, Touched>>();
  /** Tables of which rows were among that that the parent was only offered when the two met; they may be all. */
  readonly #offered = new Map<IncomingTable, Range>();

  constructor(options: {
    readonly connection: Connection;
    readonly peerId: number;
    readonly header: PacketHeader;
    readonly tables: readonly IncomingTable[];
    /** `PacketHeader.seen` of the last packet applied. */
    readonly before: { readonly [channel: string]: Position };
  }) {
    this.#connection = options.connection;
    const { header, before } = options;
    for (const table of options.tables) {
      const { channel, oneWay } = table.rule;
      const range = { after: before[channel] ?? 0n, upTo: header.seen[channel] ?? 0n, peerId: options.peerId };
      if (oneWay === true || range.after >= range.upTo) continue;
      if (anyOffered(options.connection, table, range)) this.#offered.set(table, range);
      const rows = touchedRows(options.connection, table, range);
      if (rows.size > 0) this.#rows.set(table, rows);
    }
  }

  /** Whether the row of a change must be asked for. */
  isUnclear(incoming: IncomingChange): boolean {
    const rows = this.#rows.get(incoming.table);
    const offered = this.#offered.get(incoming.table);
    if (rows === undefined && offered === undefined) return false;
    const key = quickImage(incoming.key) ?? keyImage(this.#connection, incoming.table.table, incoming.key);
    // what was offered and differed, the parent has told; what it had deleted by then, it has taken for new
    if (offered !== undefined && incoming.new === null && isOffered(this.#connection, incoming.table, key, offered)) return true;
    const touched = rows?.get(key);
    if (touched === undefined) return false;
    return touched === null || incoming.change.op !== "U" || (incoming.new?.set.names.some((name) => touched.has(name)) ?? true);
  }
}

const anyOffered = (connection: Connection, { table }: IncomingTable, { after, upTo, peerId }: Range): boolean =>
  prepared(
    connection,
    `select exists (select 1 from tombolo_change
      where seq > ? and seq <= ? and table_id in (${shapeIds(connection, table.id).join(", ")}) and target = ? and op <> 'R')`,
  )
    .pluck()
    .get(after, upTo, peerId) === 1n;

function isOffered(connection: Connection, { table }: IncomingTable, key: Image, { after, upTo, peerId }: Range): boolean {
  logKeys(connection);
  const found = prepared(connection, `select 1 from ${LOG_OF_KEY} and k.seq <= ? and c.target = ? and c.op <> 'R' limit 1`);
  return shapeIds(connection, table.id).some((id) => found.get(key, id, after, upTo, peerId) !== undefined);
}

function touchedRows(connection: Connection, { table }: IncomingTable, range: Range): Map<Image, Touched> {
  const entries = prepared(
    connection,
    `select key, op, old, new, table_id from tombolo_change
      where seq > ? and seq <= ? and table_id in (${shapeIds(connection, table.id).join(", ")}) and target is null and (origin is null or origin <> ?)`,
  )
    .raw()
    .all(range.after, range.upTo, range.peerId) as [string, string, string | null, string | null, bigint][];
  const touched = new Map<Image, Set<string> | null>();
  const shapes = entries.length > 0 ? storedShapes(connection) : undefined;
  for (const [key, op, old, now, id] of entries) {
    const shape = shapes?.get(Number(id));
    // a touch says nothing by itself; a REPLACE of the same row has an entry of its own
    if (op === "H" && touched.has(key)) continue;
    const columns = op === "U" && old !== null && now !== null && shape !== undefined ? changedColumns(old, now, shape) : null;
    const known = touched.get(key);
    if (columns === null || known === null) touched.set(key, null);
    else touched.set(key, new Set([...(known ?? []), ...columns]));
  }
  return touched;
}
