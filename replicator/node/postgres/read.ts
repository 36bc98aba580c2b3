import { createHash } from "node:crypto";
import type pg from "pg";
import type { Change, Op } from "../../change/change.ts";
import { TomboloError } from "../../change/error.ts";
import type { Position } from "../../change/names.ts";
import { Grouping, type GroupLimits } from "../grouping.ts";
import { scopedOp } from "../scoped-change.ts";
import { textArray } from "./array-literal.ts";
import { filteredRows, type ScopedTable, UNCLEAR } from "./filtered-read.ts";
import { inOneGo } from "./in-one-go.ts";
import { type RecentTicks, type TickRow, tickRow } from "./recent-ticks.ts";
import { RowCursor } from "./row-cursor.ts";
import { Values } from "./row-filter.ts";
import { windowBetween } from "./snapshot-text.ts";

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
  /** Null for what there is for all readers, tagged, so that each may be given its own: see shared-reads.ts. */
  readonly peerId: number | null;
  /** Captured table id to index in the answer. */
  readonly tables: ReadonlyMap<string, number>;
  /** Columns that do not travel, by captured table id, of tables that have any: older entries may still hold them. */
  readonly excluded: ReadonlyMap<string, readonly string[]>;
  readonly after: Position;
  readonly upTo: Position;
  readonly maxRows: number;
  readonly maxBytes: number;
  /** The tables of which the reader is given some rows only. */
  readonly scoped?: readonly ScopedTable[];
  /** Called for an update that does not tell whether its row was, or is, the reader's. */
  readonly unclear?: (change: Change) => void;
}

/** A change that is read for all readers. Of peers, ids. */
export interface TaggedChange extends Change {
  readonly seq: bigint;
  /** Whom it came from; that peer is not told. */
  readonly origin: number | null;
  /** The only one that it is for. */
  readonly target: number | null;
}

/** What a window holds, before it is turned into text. `excluding` tables have columns that do not travel (see `WindowRequest.excluded`). */
function windowRows(hstore: string, excluding: number, tagged: boolean): string {
  const travelling = (image: string): string => {
    const cases = Array.from(
      { length: excluding },
      (_, at) => `when $${7 + at * 2}::int then ${image} operator(${hstore}.-) $${8 + at * 2}::text[]`,
    );
    return excluding === 0 ? image : `case c.table_id ${cases.join(" ")} else ${image} end`;
  };
  // an update of nothing that travels is none
  const something = excluding === 0 ? "" : `and (c.op <> 'U' or ${travelling("c.old")} operator(${hstore}.<>) ${travelling("c.new")})`;
  return `
      select c.seq, c.table_id, c.op, c.key, ${travelling("c.old")} as old, ${travelling("c.new")} as new, c.changed_at${tags(tagged)}
        from tombolo.change c
       where ((c.xid >= $1::xid8 and c.xid < $2::xid8) or c.xid = any ($3::xid8[]))
         and pg_visible_in_snapshot(c.xid, $4::pg_snapshot)
         and c.table_id = any ($5::int[])
         and (${tagged ? "$6::int is null" : "(c.target is null and c.origin is distinct from $6::int) or c.target = $6::int"}) ${something}`;
}

const tags = (tagged: boolean): string => (tagged ? ", c.origin, c.target" : "");

/** Sorted before they are turned into text; the first of them alone with a limit. */
const inOrder = (limit = ""): string => `order by c.seq ${limit} offset 0`;

/** The sort is over the images as they are stored: with their texts it takes twice as long before the first row comes (500 k changes: 1.0 s, now 0.4 s). */
const selectChanges = (hstore: string, rows: string, tagged: boolean): string => `
  select c.table_id, c.op, ${hstore}.hstore_to_json(c.key)::text, ${hstore}.hstore_to_json(c.old)::text,
         ${hstore}.hstore_to_json(c.new)::text, date_part('epoch', c.changed_at)${tagged ? `, c.seq${tags(true)}` : ""}
    from (${rows}) as c
   order by c.seq`;

/** How one window is read. */
interface Reading {
  readonly name: string;
  /** Of a window of which this many rows are looked at; what is not for the reader among them comes as a row without images. */
  small(limit: number): string;
  readonly large: string;
  readonly values: unknown[];
  /** Null for what is not for the reader. */
  change(raw: RawChange): Change | null;
}

function plain(hstore: string, request: WindowRequest, values: unknown[]): Reading {
  const tagged = request.peerId === null;
  const read = tagged ? taggedChangeOf : changeOf;
  const window = windowRows(hstore, request.excluded.size, tagged);
  return {
    name: `tombolo_read_${tagged ? "all" : "small"}_${request.excluded.size}`,
    small: (limit) => selectChanges(hstore, `${window} ${inOrder(`limit ${limit}`)}`, tagged),
    large: selectChanges(hstore, `${window} ${inOrder()}`, tagged),
    values,
    change: (raw) => read(raw, request.tables),
  };
}

/** For a reader who is given some rows only. A statement of its own, so that reading without filters stays as it is. */
function filtered(hstore: string, request: WindowRequest, scoped: readonly ScopedTable[], first: unknown[]): Reading {
  const values = new Values(first);
  const tagged = request.peerId === null;
  const read = tagged ? taggedChangeOf : changeOf;
  const rows = filteredRows(hstore, scoped, values, tags(tagged));
  const window = windowRows(hstore, request.excluded.size, tagged);
  const small = (limit: number): string => selectChanges(hstore, rows(`${window} ${inOrder(`limit ${limit}`)}`), tagged);
  const told = `c.op in ('R', 'T', '${UNCLEAR}') or c.old is not null or c.new is not null`;
  return {
    name: `tombolo_read_${createHash("sha256").update(small(SMALL_WINDOW)).digest("hex").slice(0, 32)}`,
    small,
    // what is left is less to sort
    large: selectChanges(hstore, `select * from (${rows(window)}) as c where ${told} ${inOrder()}`, tagged),
    values: values.all,
    change(raw) {
      const change = read(raw, request.tables);
      if (raw[1] === UNCLEAR) {
        request.unclear?.(change);
        return null;
      }
      const op = scopedOp(change.op, change);
      return op === null ? null : { ...change, op };
    },
  };
}

/** The changes that became visible between two ticks, each exactly once, in the order in which rows were changed. */
export async function* readWindow(
  pool: pg.Pool,
  hstore: string,
  request: WindowRequest,
  recent?: RecentTicks,
): AsyncGenerator<readonly Change[]> {
  const { after, upTo } = await ticks(pool, request, recent);
  const window = windowBetween(after?.snapshot ?? null, upTo.snapshot);
  const first = [window.from.toString(), window.to.toString(), `{${window.finished.join(",")}}`, upTo.text];
  const values = windowValues(request, first);
  const { scoped = [] } = request;
  const reading = scoped.length === 0 ? plain(hstore, request, values) : filtered(hstore, request, scoped, values);
  if (after !== null && isSmall(after, upTo)) {
    const rows = await readSmall(pool, reading, request.after);
    if (rows.length <= SMALL_WINDOW) {
      yield* groups(
        rows.flatMap((raw) => reading.change(raw) ?? []),
        request,
      );
      return;
    }
  }
  yield* readLarge(pool, reading, request);
}

/**
 * Whether a window that has been read was whole. A purge that empties a segment deletes all ticks before its cut, in one transaction, and waits for who reads; so where the
 * tick is there when the reading is over, nothing behind it was missing. That it was there before does not say so, least of all from memory.
 */
const stillReaches = (after: Position): pg.QueryConfig => ({
  name: "tombolo_reaches",
  text: "select from tombolo.tick where position = $1::bigint",
  values: [after.toString()],
});

async function readSmall(pool: pg.Pool, { name, small, values }: Reading, after: Position): Promise<RawChange[]> {
  const client = await pool.connect();
  try {
    const rows = { name, text: small(SMALL_WINDOW + 1), values, rowMode: "array" };
    const [read, reaches] = await inOneGo<readonly [pg.QueryResult, pg.QueryResult]>(client, (go) => [
      go.query(rows),
      go.query(stillReaches(after)),
    ]);
    client.release();
    if (reaches.rowCount === 0) throw positionUnknown(after);
    return read.rows as unknown as RawChange[];
  } catch (error) {
    if (!(error instanceof TomboloError)) client.release(true);
    throw error;
  }
}

/** By the numbers of the changes; a transaction that was open for long may bring more. */
export const isSmall = (after: TickRow, upTo: TickRow): boolean => upTo.seqHigh - after.seqHigh <= SMALL_WINDOW;

const newest = (column: string): string => `(select ${column} from tombolo.tick order by position desc limit 1)`;
/** Above all transactions. */
const LATEST = "18446744073709551615";

/**
 * The changes between a tick and the newest, in the transaction that may have made that; null where they are more than a few. Where the sequence says that they
 * are (see `isSmall`) nothing is looked for, and the answer is empty. Asked before this returns.
 */
export async function askNewest(
  client: pg.ClientBase,
  hstore: string,
  request: Omit<WindowRequest, "upTo">,
  after: TickRow,
): Promise<readonly Change[] | null> {
  const { xmax, open } = after.snapshot;
  // those of them that are still open are not in the newest snapshot
  const reading = plain(
    hstore,
    { ...request, upTo: request.after },
    windowValues(request, [xmax.toString(), LATEST, `{${open.join(",")}}`, null]),
  );
  const few = `${newest("seq_high")} <= $${reading.values.length + 1}::bigint`;
  const text = reading
    .small(SMALL_WINDOW + 1)
    .replace(
      "pg_visible_in_snapshot(c.xid, $4::pg_snapshot)",
      `pg_visible_in_snapshot(c.xid, coalesce($4::pg_snapshot, ${newest("snapshot")})) and ${few}`,
    );
  const values = [...reading.values, (after.seqHigh + BigInt(SMALL_WINDOW)).toString()];
  const { rows } = await client.query({ name: `${reading.name}_newest`, text, values, rowMode: "array" });
  return rows.length > SMALL_WINDOW ? null : (rows as RawChange[]).flatMap((raw) => reading.change(raw) ?? []);
}

/** `first`: what says which transactions. */
const windowValues = ({ tables, excluded, peerId }: Omit<WindowRequest, "upTo">, first: readonly unknown[]): unknown[] => [
  ...first,
  `{${[...tables.keys()].join(",")}}`,
  peerId,
  ...[...excluded].flatMap(([id, names]) => [id, textArray(names)]),
];

type RawChange = [string, Op | typeof UNCLEAR, string, string | null, string | null, string, ...unknown[]];
type RawTags = [seq: string, origin: string | null, target: string | null];

function changeOf([tableId, op, key, before, after, seconds]: RawChange, tables: ReadonlyMap<string, number>): Change {
  return {
    table: tables.get(tableId) as number,
    op: op as Op,
    key: op === "T" ? "" : key,
    old: before,
    new: after,
    changedAt: Math.round(Number(seconds) * 1e6),
  };
}

function taggedChangeOf(raw: RawChange, tables: ReadonlyMap<string, number>): TaggedChange {
  const [seq, origin, target] = raw.slice(6) as RawTags;
  const peer = (id: string | null): number | null => (id === null ? null : Number(id));
  return { ...changeOf(raw, tables), seq: BigInt(seq), origin: peer(origin), target: peer(target) };
}

export const bytesOf = (change: Change): number => change.key.length + (change.old?.length ?? 0) + (change.new?.length ?? 0) + 64;

/** Cuts changes that are at hand into groups. */
export function* groups(changes: readonly Change[], limits: GroupLimits): Generator<readonly Change[]> {
  const grouping = new Grouping(limits);
  for (const change of changes) {
    const group = grouping.add(change, bytesOf(change));
    if (group !== null) yield group;
  }
  if (grouping.rest().length > 0) yield grouping.rest();
}

async function* readLarge(pool: pg.Pool, reading: Reading, request: WindowRequest): AsyncGenerator<readonly Change[]> {
  const client = await pool.connect();
  const cursor = new RowCursor<RawChange>(client, reading.large, reading.values);
  let exhausted = false;
  try {
    const grouping = new Grouping(request);
    let fetch = FIRST_FETCH;
    for (;;) {
      const rows = await cursor.read(fetch);
      if (rows.length === 0) break;
      let fetched = 0;
      for (const raw of rows) {
        const change = reading.change(raw);
        if (change === null) continue;
        const size = bytesOf(change);
        fetched += size;
        const group = grouping.add(change, size);
        if (group !== null) yield group;
      }
      fetch = Math.max(1, Math.min(LARGEST_FETCH, fetch * 4, Math.floor((FETCH_BYTES * rows.length) / Math.max(1, fetched))));
    }
    exhausted = true;
    if (request.after !== 0n && (await client.query(stillReaches(request.after))).rowCount === 0) throw positionUnknown(request.after);
    if (grouping.rest().length > 0) yield grouping.rest();
  } finally {
    // a cursor that is left before its end is closed with its connection: closing it alone waits for ever once the server is gone
    client.release(!exhausted);
  }
}

/** The two cuts; `after` is null for the beginning of the log. */
async function ticks(
  pool: pg.Pool,
  { after, upTo }: Pick<WindowRequest, "after" | "upTo">,
  recent?: RecentTicks,
): Promise<{ after: TickRow | null; upTo: TickRow }> {
  const [first, last] = [after === 0n ? null : recent?.get(after), recent?.get(upTo)];
  if (first !== undefined && last !== undefined) return { after: first, upTo: last };
  const { rows } = await pool.query({
    name: "tombolo_ticks",
    text: "select position, snapshot, seq_high from tombolo.tick where position = any ($1::bigint[])",
    values: [textArray([after.toString(), upTo.toString()])],
  });
  const found = new Map((rows as { position: string; snapshot: string; seq_high: string }[]).map((row) => [BigInt(row.position), row]));
  const tick = (at: Position): TickRow => {
    const row = found.get(at);
    if (row === undefined) throw positionUnknown(at);
    return tickRow(row);
  };
  return { after: after === 0n ? null : tick(after), upTo: tick(upTo) };
}

const positionUnknown = (at: Position): TomboloError =>
  new TomboloError(`the change log no longer reaches back to position ${at}`, {
    code: "POSITION_UNKNOWN",
    kind: "operator",
    hint: "the reader was away for longer than the log is kept, or this database was restored: fill the reader anew",
  });
