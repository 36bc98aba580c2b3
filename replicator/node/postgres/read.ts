import type pg from "pg";
import Cursor from "pg-cursor";
import type { Change, Op } from "../../change/change.ts";
import { TomboloError } from "../../change/error.ts";
import type { Position } from "../../change/names.ts";
import { Grouping, type GroupLimits } from "../grouping.ts";
import { textArray } from "./array-literal.ts";
import { parseSnapshot, type Snapshot, windowBetween } from "./snapshot-text.ts";

/** A window that holds about this many changes or fewer is read by one prepared statement; a larger one through a cursor. */
const SMALL_WINDOW = 50;
/**
 * Rows fetched at once from a cursor: the first fetch, and the most. Between, the size follows the rows' own size, which is not known
 * before the first: values of 1 MB would fill the memory.
 */
const FIRST_FETCH = 20;
const LARGEST_FETCH = 2000;
const FETCH_BYTES = 2 * 1024 * 1024;

export interface WindowRequest {
  readonly peerId: number;
  /** Captured table id to index in the answer. */
  readonly tables: ReadonlyMap<string, number>;
  readonly after: Position;
  readonly upTo: Position;
  readonly maxRows: number;
  readonly maxBytes: number;
}

interface TickRow {
  readonly snapshot: Snapshot;
  readonly text: string;
  readonly seqHigh: bigint;
}

/** The sort is over the images as they are stored: with their texts it takes twice as long before the first row comes (500 k changes: 1.0 s, now 0.4 s). */
const selectChanges = (hstore: string, limit: string): string => `
  select c.table_id, c.op, ${hstore}.hstore_to_json(c.key)::text, ${hstore}.hstore_to_json(c.old)::text,
         ${hstore}.hstore_to_json(c.new)::text, date_part('epoch', c.changed_at)
    from (
      select c.seq, c.table_id, c.op, c.key, c.old, c.new, c.changed_at
        from tombolo.change c
       where ((c.xid >= $1::xid8 and c.xid < $2::xid8) or c.xid = any ($3::xid8[]))
         and pg_visible_in_snapshot(c.xid, $4::pg_snapshot)
         and c.table_id = any ($5::int[])
         and ((c.target is null and c.origin is distinct from $6::int) or c.target = $6::int)
       order by c.seq ${limit} offset 0) as c
   order by c.seq`;

/** The changes that became visible between two ticks, each exactly once, in the order in which rows were changed. */
export async function* readWindow(pool: pg.Pool, hstore: string, request: WindowRequest): AsyncGenerator<readonly Change[]> {
  const { after, upTo } = await ticks(pool, request.after, request.upTo);
  const window = windowBetween(after?.snapshot ?? null, upTo.snapshot);
  const values = [
    window.from.toString(),
    window.to.toString(),
    `{${window.finished.join(",")}}`,
    upTo.text,
    `{${[...request.tables.keys()].join(",")}}`,
    request.peerId,
  ];
  const about = after === null ? null : upTo.seqHigh - after.seqHigh;
  if (about !== null && about <= SMALL_WINDOW) {
    const text = selectChanges(hstore, `limit ${SMALL_WINDOW + 1}`);
    const { rows } = await pool.query({ name: "tombolo_read_small", text, values, rowMode: "array" });
    // a transaction that was open for long may bring more than the sequence says
    if (rows.length <= SMALL_WINDOW) {
      yield* groups(
        (rows as RawChange[]).map((raw) => changeOf(raw, request.tables)),
        request,
      );
      return;
    }
  }
  yield* readLarge(pool, selectChanges(hstore, ""), values, request);
}

type RawChange = [string, Op, string, string | null, string | null, string];

function changeOf([tableId, op, key, before, after, seconds]: RawChange, tables: ReadonlyMap<string, number>): Change {
  return {
    table: tables.get(tableId) as number,
    op,
    key: op === "T" ? "" : key,
    old: before,
    new: after,
    changedAt: Math.round(Number(seconds) * 1e6),
  };
}

const bytesOf = (change: Change): number => change.key.length + (change.old?.length ?? 0) + (change.new?.length ?? 0) + 64;

/** Cuts changes that are at hand into groups. */
function* groups(changes: readonly Change[], limits: GroupLimits): Generator<readonly Change[]> {
  const grouping = new Grouping(limits);
  for (const change of changes) {
    const group = grouping.add(change, bytesOf(change));
    if (group !== null) yield group;
  }
  if (grouping.rest().length > 0) yield grouping.rest();
}

async function* readLarge(pool: pg.Pool, text: string, values: unknown[], request: WindowRequest): AsyncGenerator<readonly Change[]> {
  const client = await pool.connect();
  const cursor = client.query(new Cursor<RawChange>(text, values, { rowMode: "array" }));
  let exhausted = false;
  try {
    const grouping = new Grouping(request);
    let fetch = FIRST_FETCH;
    for (;;) {
      const rows = await cursor.read(fetch);
      if (rows.length === 0) break;
      let fetched = 0;
      for (const raw of rows) {
        const change = changeOf(raw, request.tables);
        const size = bytesOf(change);
        fetched += size;
        const group = grouping.add(change, size);
        if (group !== null) yield group;
      }
      fetch = Math.max(1, Math.min(LARGEST_FETCH, fetch * 4, Math.floor((FETCH_BYTES * rows.length) / fetched)));
    }
    exhausted = true;
    if (grouping.rest().length > 0) yield grouping.rest();
  } finally {
    // a cursor that is left before its end is closed with its connection: closing it alone waits for ever once the server is gone
    client.release(!exhausted);
  }
}

/** The two cuts; `after` is null for the beginning of the log. */
async function ticks(pool: pg.Pool, after: Position, upTo: Position): Promise<{ after: TickRow | null; upTo: TickRow }> {
  const { rows } = await pool.query({
    name: "tombolo_ticks",
    text: "select position, snapshot, seq_high from tombolo.tick where position = any ($1::bigint[])",
    values: [textArray([after.toString(), upTo.toString()])],
  });
  const found = new Map((rows as { position: string; snapshot: string; seq_high: string }[]).map((row) => [BigInt(row.position), row]));
  const tick = (at: Position): TickRow => {
    const row = found.get(at);
    if (row === undefined) {
      throw new TomboloError(`the change log no longer reaches back to position ${at}`, {
        code: "POSITION_UNKNOWN",
        kind: "operator",
        hint: "the reader was away for longer than the log is kept, or this database was restored: fill the reader anew",
      });
    }
    return { snapshot: parseSnapshot(row.snapshot), text: row.snapshot, seqHigh: BigInt(row.seq_high) };
  };
  return { after: after === 0n ? null : tick(after), upTo: tick(upTo) };
}
