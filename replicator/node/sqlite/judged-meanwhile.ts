import type { Position } from "../../change/names.ts";
import type { PacketHeader } from "../../change/packet.ts";
import { shapeIds, storedShapes } from "./captured-tables.ts";
import { changedColumns } from "./concurrent-changes.ts";
import type { Connection } from "./connection.ts";
import type { Image } from "./image.ts";
import type { IncomingChange, IncomingTable } from "./incoming.ts";
import { keyImage, prepared, quickImage } from "./rows.ts";

/** Columns of a row that this node changed; null is all of them. */
type Touched = ReadonlySet<string> | null;

/**
 * This node's own changes that its parent judged between the last packet and this one, and so somewhere among what the packet tells; it
 * leaves them out as echoes, and does not say where. What it says about the same columns may be older or newer than this node's row: such
 * rows are asked for (see `Target.apply`).
 */
export class JudgedMeanwhile {
  readonly #connection: Connection;
  readonly #rows = new Map<IncomingTable, ReadonlyMap<Image, Touched>>();

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
      const range = { after: before[channel] ?? 0n, upTo: header.seen[channel] ?? 0n };
      if (oneWay === true || range.after >= range.upTo) continue;
      const rows = touchedRows(options.connection, table, { ...range, peerId: options.peerId });
      if (rows.size > 0) this.#rows.set(table, rows);
    }
  }

  /** Whether the row of a change must be asked for. */
  isUnclear(incoming: IncomingChange): boolean {
    const rows = this.#rows.get(incoming.table);
    if (rows === undefined) return false;
    const touched = rows.get(quickImage(incoming.key) ?? keyImage(this.#connection, incoming.table.table, incoming.key));
    if (touched === undefined) return false;
    return touched === null || incoming.change.op !== "U" || (incoming.new?.set.names.some((name) => touched.has(name)) ?? true);
  }
}

function touchedRows(
  connection: Connection,
  { table }: IncomingTable,
  range: { readonly after: bigint; readonly upTo: bigint; readonly peerId: number },
): Map<Image, Touched> {
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
