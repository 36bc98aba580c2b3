import type { Change } from "../../change/change.ts";
import { TomboloError } from "../../change/error.ts";
import type { NodeName } from "../../change/names.ts";
import type { ReadRequest } from "../change-log.ts";
import { type CapturedTable, capturedTables, notCaptured, type StoredShape, storedShapes } from "./captured-tables.ts";
import { type LogRow, resolve } from "./chains.ts";
import { ChangeText } from "./change-text.ts";
import type { Connection, DatabaseFile } from "./connection.ts";
import { type ImageTest, imageTest, scopedChange } from "./filtered-read.ts";
import { groups } from "./groups.ts";
import { type Image, imageOfBytes, mayBeDamaged } from "./image.ts";
import { LOG_OF_KEY, logKeys } from "./log-keys.ts";
import { misfit } from "./misfit.ts";
import { purgedUpTo } from "./purge.ts";
import { currentImage, prepared } from "./rows.ts";

/** Entries that are resolved at once, in one short read transaction: a reader that is slow does not keep the WAL from being checkpointed. */
const WINDOW_ROWS = 2_000;
const WINDOW_BYTES = 8 << 20;
/** How many windows long a statement may be and still be kept in one. */
const LONGEST_STATEMENT = 20;

/** What reading needs to know about the tables. */
interface Reading {
  readonly peer: number | null;
  readonly tables: ReadonlyMap<number, CapturedTable>;
  readonly shapes: ReadonlyMap<number, StoredShape>;
  readonly texts: ReadonlyMap<number, ChangeText>;
  /** Of tables of which the reader is given some rows only. */
  readonly tests: ReadonlyMap<number, ImageTest>;
}

/** See `ChangeLog.read`. */
export async function* read(file: DatabaseFile, request: ReadRequest): AsyncGenerator<readonly Change[]> {
  const reading = file.read((connection) => prepare(connection, request, file.node));
  let after: bigint = request.after;
  while (after < request.upTo) {
    const window = file.read((connection) => nextWindow(connection, reading, { after, upTo: request.upTo, maxRows: request.maxRows }));
    after = window.end;
    yield* groups(window.changes, request);
  }
}

function prepare(connection: Connection, request: ReadRequest, node: NodeName): Reading {
  const captured = capturedTables(connection);
  const tables = new Map<number, CapturedTable>();
  const texts = new Map<number, ChangeText>();
  const shapes = new Map<number, StoredShape>();
  const tests = new Map<number, ImageTest>();
  const purged = purgedUpTo(connection);
  const peer = connection.prepare("select id, role from tombolo_peer where name = ?").raw().get(request.reader) as
    | [bigint, "parent" | "child"]
    | undefined;
  for (const [index, name] of request.tables.entries()) {
    const table = captured.get(name);
    if (table === undefined) throw notCaptured(name, node);
    if (request.after < (purged.get(table.channel) ?? 0n))
      throw positionUnknown(node, peer?.[1] === "parent" ? node : request.reader, request.reader);
    for (const shape of storedShapes(connection).values()) {
      if (shape.table !== name) continue;
      tables.set(shape.id, table);
      shapes.set(shape.id, shape);
      const filter = request.filters?.get(name);
      if (filter !== undefined) tests.set(shape.id, imageTest(connection, table, shape, filter));
      texts.set(shape.id, new ChangeText({ table: index, shape, now: table.columns, wholeImages: table.wholeImages }));
    }
  }
  return { peer: peer === undefined ? null : Number(peer[0]), tables, shapes, texts, tests };
}

/** `child`: of the two, where the reader is one of them. */
const positionUnknown = (node: NodeName, child: NodeName | null, reader: NodeName | null): TomboloError =>
  new TomboloError(`${node}: the log no longer reaches back to where ${reader ?? "the reader"} stopped reading`, {
    code: "POSITION_UNKNOWN",
    kind: "operator",
    hint: reader === null ? "read the tables anew, then on from here" : `run \`tombolo nodes resync ${child}\``,
  });

function nextWindow(
  connection: Connection,
  reading: Reading,
  cut: { readonly after: bigint; readonly upTo: bigint; readonly maxRows: number },
): { changes: Change[]; end: bigint } {
  const { rows, end } = windowRows(connection, reading, cut);
  const nets = resolve(rows, { peer: reading.peer, stateAfter: (entry) => stateAfter(connection, reading, entry, end) });
  const changes: Change[] = [];
  for (const net of nets) {
    const test = reading.tests.get(net.tableId);
    const told = test === undefined ? net : scopedChange(net, test);
    const change = told === null ? null : reading.texts.get(net.tableId)?.change(told.op, told.key, told);
    if (change != null) changes.push(change);
  }
  return { changes, end };
}

/**
 * The next rows of the log, up to the end of a statement: all that one statement logs, nested triggers included, has the same time,
 * as 'now' stands still within a statement of SQLite.
 */
function windowRows(
  connection: Connection,
  reading: Reading,
  cut: { readonly after: bigint; readonly upTo: bigint; readonly maxRows: number },
): { rows: LogRow[]; end: bigint } {
  const ids = [...reading.tables.keys()].join(", ");
  const sql = `select seq, table_id, op, key, old, new, origin, target, changed_at from tombolo_change
    where seq > ? and seq <= ? and table_id in (${ids}) order by seq`;
  const limit = Math.max(WINDOW_ROWS, cut.maxRows);
  const rows: LogRow[] = [];
  let bytes = 0;
  for (const raw of prepared(connection, sql).raw().iterate(cut.after, cut.upTo)) {
    const last = rows.at(-1);
    const row = logRow(connection, raw as RawRow, last?.changedAt);
    const full = rows.length >= limit || bytes > WINDOW_BYTES;
    const tooLong = rows.length >= limit * LONGEST_STATEMENT || bytes > WINDOW_BYTES * LONGEST_STATEMENT;
    if (last !== undefined && (tooLong || (full && row.changedAt !== last.changedAt))) return { rows, end: last.seq };
    rows.push(row);
    bytes += row.key.length + (row.old?.length ?? 0) + (row.new?.length ?? 0);
  }
  return { rows, end: cut.upTo };
}

type RawRow = [bigint, bigint, LogRow["op"], string, string | null, string | null, bigint | null, bigint | null, string];

/** `lastTime`: of the row before, which is most often this one's too; one text for both is less to keep. */
function logRow(connection: Connection, raw: RawRow, lastTime: string | undefined): LogRow {
  let [seq, tableId, op, key, old, now, origin, target, changedAt] = raw;
  if (changedAt === lastTime) changedAt = lastTime;
  if (mayBeDamaged(key) || mayBeDamaged(old) || mayBeDamaged(now)) {
    const bytes = connection.prepare("select cast(key as blob), cast(old as blob), cast(new as blob) from tombolo_change where seq = ?");
    const [keyBytes, oldBytes, newBytes] = bytes.raw().get(seq) as [Buffer, Buffer | null, Buffer | null];
    key = imageOfBytes(keyBytes);
    old = oldBytes && imageOfBytes(oldBytes);
    now = newBytes && imageOfBytes(newBytes);
  }
  return {
    seq,
    tableId: Number(tableId),
    op,
    key,
    old,
    new: now,
    origin: origin === null ? null : Number(origin),
    target: target === null ? null : Number(target),
    changedAt,
  };
}

/** What the next entry of the key found; without one, what is there now. */
function stateAfter(connection: Connection, reading: Reading, entry: LogRow, end: bigint): Image | null {
  logKeys(connection);
  const sql = `select c.op, c.old, c.seq from ${LOG_OF_KEY} and c.target is null order by k.seq limit 1`;
  const next = prepared(connection, sql).raw().get(entry.key, entry.tableId, end) as [string, string | null, bigint] | undefined;
  if (next !== undefined) {
    const [op, old, seq] = next;
    if (op === "I") return null;
    if (!mayBeDamaged(old)) return old;
    return imageOfBytes(connection.prepare("select cast(old as blob) from tombolo_change where seq = ?").pluck().get(seq) as Buffer);
  }
  const table = reading.tables.get(entry.tableId) as CapturedTable;
  // the row cannot be looked at: what the entry itself knows is the last that is known
  if (misfit(connection, table) !== null) return entry.op === "D" ? null : (entry.new ?? entry.old);
  const shape = reading.shapes.get(entry.tableId) as StoredShape;
  return currentImage(connection, { local: table.local, columns: shape.columns, key: shape.key }, entry.key);
}
