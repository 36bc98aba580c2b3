import { setImmediate as breathe } from "node:timers/promises";
import { SqliteError } from "better-sqlite3";
import { position } from "../../change/names.ts";
import { ChainDigest, digestOf, SumDigest } from "../../change/row-digest.ts";
import { rowText } from "../../change/value.ts";
import type { Tick } from "../change-log.ts";
import type { DigestSnapshot, Digests, DigestTable, FoundRow, KeyRange, KeyText, RangeDigest, RowDigest } from "../digest.ts";
import { bucketRange, rangeTest } from "../digest-ranges.ts";
import { filterFailed } from "../filter-fault.ts";
import { type CapturedTable, capturedTables, notCaptured } from "./captured-tables.ts";
import type { Connection, DatabaseFile } from "./connection.ts";
import { DigestColumns, isTellable } from "./digest-columns.ts";
import { quote } from "./identifier.ts";
import { imageToRow } from "./image.ts";
import { misfitOf } from "./misfit.ts";
import { condition } from "./row-filter.ts";
import { type Bindable, findRow, stored } from "./rows.ts";
import { readTable } from "./shape.ts";
import { newestEntry, seenNow } from "./tick.ts";

/** So many rows are read at a stretch; then whatever else this process has to do gets its turn. */
const STRETCH_ROWS = 1_000;
/** In characters and bytes. */
const STRETCH_SIZE = 4 << 20;

/** Digests of the tables of a SQLite node. Nothing is written: whoever reads is at the newest entry of the log. */
export class SqliteDigests implements Digests {
  readonly #file: DatabaseFile;
  readonly #open = new Set<SqliteDigestSnapshot>();

  constructor(options: { readonly file: DatabaseFile }) {
    this.#file = options.file;
  }

  async open(wanted: readonly DigestTable[]): Promise<DigestSnapshot> {
    const connection = this.#file.connect();
    try {
      // a transaction that reads is a snapshot; writers are serial, so that its newest entry is exactly what it shows
      connection.exec("begin");
      const tick: Tick = { position: position(newestEntry(connection)), seen: seenNow(connection) };
      const tables = wanted.map((table) => openTable(connection, table, this.#file));
      const snapshot: SqliteDigestSnapshot = new SqliteDigestSnapshot({
        connection,
        tick,
        tables,
        closed: () => void this.#open.delete(snapshot),
      });
      this.#open.add(snapshot);
      return snapshot;
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  async normalised(_table: DigestTable, rows: readonly unknown[]): Promise<readonly null[]> {
    return rows.map(() => null);
  }

  close(): void {
    for (const snapshot of this.#open) snapshot.end();
  }
}

/** A table and how it is read. */
interface OpenTable {
  readonly table: CapturedTable;
  readonly order: DigestTable["order"];
  readonly columns: DigestColumns;
  /** Quoted: all columns; those of the key, as they are ordered; the table. */
  readonly select: string;
  readonly key: string;
  readonly from: string;
  readonly filter: { readonly sql: string; readonly values: readonly string[] };
}

function openTable(connection: Connection, wanted: DigestTable, file: DatabaseFile): OpenTable {
  const table = capturedTables(connection).get(wanted.table);
  if (table === undefined) throw notCaptured(wanted.table, file.node);
  const local = readTable(connection, table.local);
  const misfit = misfitOf(local, table);
  if (misfit !== null) throw misfit;
  return {
    table,
    order: wanted.order,
    columns: new DigestColumns(table, wanted, local?.strict ?? false),
    select: wanted.columns.map(({ name }) => quote(name)).join(", "),
    key: wanted.key.map(quote).join(", "),
    from: quote(table.local),
    filter: wanted.filter === null ? { sql: "1", values: [] } : condition(wanted.filter),
  };
}

/** Holds a read transaction on a connection of its own: the WAL grows with what is written until it is closed. */
class SqliteDigestSnapshot implements DigestSnapshot {
  readonly tick: Tick;
  readonly #connection: Connection;
  readonly #tables: readonly OpenTable[];
  readonly #closed: () => void;

  constructor(options: {
    readonly connection: Connection;
    readonly tick: Tick;
    readonly tables: readonly OpenTable[];
    readonly closed: () => void;
  }) {
    this.tick = options.tick;
    this.#connection = options.connection;
    this.#tables = options.tables;
    this.#closed = options.closed;
  }

  async bounds(index: number, range: KeyRange, step: { readonly rows: number; readonly count: number }): Promise<readonly KeyText[]> {
    const table = this.#table(index);
    const found: KeyText[] = [];
    let after = range.from;
    while (found.length < step.count) {
      const { sql, values } = within(table, { from: after, to: range.to });
      const next = this.#connection
        .prepare(`select ${table.select} from ${table.from}${sql} order by ${table.key} limit 1 offset ?`)
        .raw()
        .get(...values, step.rows) as Bindable[] | undefined;
      await breathe();
      const texts = next === undefined ? [] : table.columns.keyTexts(next);
      // what has no form at the other node is no bound there; such keys sort behind all others
      if (next === undefined || !isTellable(texts)) break;
      after = JSON.stringify(texts);
      found.push(after);
    }
    return found;
  }

  async digests(index: number, ranges: readonly KeyRange[]): Promise<readonly RangeDigest[]> {
    const table = this.#table(index);
    const found: RangeDigest[] = [];
    for (const range of ranges) {
      const digest = new ChainDigest();
      for await (const rows of this.#stretches(table, range)) for (const row of rows) digest.add(table.columns.digest(row));
      found.push({ range, rows: digest.rows, digest: digest.digest });
    }
    return found;
  }

  async buckets(index: number, digits: number): Promise<readonly RangeDigest[]> {
    const table = this.#table(index);
    const sums = new Map<string, SumDigest>();
    for await (const rows of this.#stretches(table, null)) {
      for (const row of rows) {
        const texts = table.columns.texts(row);
        const bucket = digestOf(table.columns.key.map((place) => texts[place] ?? null)).slice(0, digits);
        const sum = sums.get(bucket) ?? new SumDigest();
        sum.add(digestOf(texts));
        sums.set(bucket, sum);
      }
    }
    return [...sums].map(([bucket, { rows, digest }]) => ({ range: bucketRange(bucket), rows, digest }));
  }

  async list(index: number, ranges: readonly KeyRange[]): Promise<readonly RowDigest[]> {
    const table = this.#table(index);
    const found: RowDigest[] = [];
    const isHashed = table.order === "hash";
    const inRanges = isHashed ? rangeTest(ranges) : () => true;
    for (const range of isHashed ? [null] : ranges) {
      for await (const rows of this.#stretches(table, range)) {
        for (const row of rows) {
          const texts = table.columns.texts(row);
          const key = table.columns.key.map((place) => texts[place] ?? null);
          if (inRanges(digestOf(key))) found.push({ key: JSON.stringify(key), digest: digestOf(texts) });
        }
      }
    }
    return found;
  }

  async digestsOf(index: number, keys: readonly KeyText[]): Promise<readonly (string | null)[]> {
    const table = this.#table(index);
    const match = table.table.key.map((name) => `${quote(name)} = ?`).join(" and ");
    const find = this.#connection.prepare(`select ${table.select} from ${table.from} where ${match} and ${table.filter.sql}`).raw();
    const digests: (string | null)[] = [];
    for (const text of keys) {
      const row = find.get(...inKeyOrder(table, table.columns.keyValues(text)), ...table.filter.values) as Bindable[] | undefined;
      const isMended = row?.some((value) => typeof value === "string" && value.includes("\ufffd")) === true;
      digests.push(row === undefined ? null : table.columns.digest(isMended ? this.#exact(table, row) : row));
      if (digests.length % STRETCH_ROWS === 0) await breathe();
    }
    return digests;
  }

  async rows(index: number, keys: readonly KeyText[]): Promise<readonly (FoundRow | null)[]> {
    const table = this.#table(index);
    const match = table.table.key.map((name) => `${quote(name)} = ?`).join(" and ");
    const passes = this.#connection.prepare(`select ${table.filter.sql} from ${table.from} where ${match}`).pluck();
    return keys.map((text) => {
      const key = inKeyOrder(table, table.columns.keyValues(text));
      const found = findRow(this.#connection, table.table, key);
      if (found === undefined || (passes.get(...table.filter.values, ...key) as bigint | null) !== 1n) return null;
      const row = imageToRow(found.image, table.table.columns);
      const texts = table.columns.texts(table.columns.columns.map(({ name }) => stored(row[name] ?? null)));
      const ownKey = Object.fromEntries(table.table.key.map((name) => [name, row[name] ?? null]));
      return { key: rowText(ownKey), row: rowText(row), texts: isTellable(texts) ? texts : null };
    });
  }

  async close(): Promise<void> {
    this.end();
  }

  end(): void {
    if (!this.#connection.open) return;
    this.#connection.close();
    this.#closed();
  }

  #table(index: number): OpenTable {
    return this.#tables[index] as OpenTable;
  }

  /** In the order of the key; the whole table in whatever order where there is no range. */
  async *#stretches(table: OpenTable, range: KeyRange | null): AsyncGenerator<Bindable[][]> {
    const { sql, values } = within(table, range ?? { from: null, to: null });
    const order = range === null ? "" : ` order by ${table.key}`;
    const rows = this.#connection.prepare(`select ${table.select} from ${table.from}${sql}${order}`).raw();
    let stretch: Bindable[][] = [];
    let size = 0;
    try {
      for (const row of rows.iterate(...values) as IterableIterator<Bindable[]>) {
        let isMended = false;
        for (const value of row) {
          if (typeof value === "string") {
            size += value.length;
            if (value.includes("\ufffd")) isMended = true;
          } else if (Buffer.isBuffer(value)) size += value.length;
        }
        stretch.push(isMended ? this.#exact(table, row) : row);
        if (stretch.length < STRETCH_ROWS && size < STRETCH_SIZE) continue;
        yield stretch;
        stretch = [];
        size = 0;
        await breathe();
      }
    } catch (error) {
      const failed = table.filter.sql !== "1" && error instanceof SqliteError && error.code === "SQLITE_ERROR";
      throw failed ? filterFailed([table.table.name], error.message) : error;
    }
    yield stretch;
  }

  /** Text that is not UTF-8 was mended on the way: the row is read anew, as it is. */
  #exact(table: OpenTable, row: readonly Bindable[]): Bindable[] {
    const key = inKeyOrder(
      table,
      table.columns.key.map((place) => row[place] ?? null),
    );
    const found = findRow(this.#connection, table.table, key);
    // the key itself is no Unicode, and cannot be asked for: it is told as such
    if (found === undefined) return row.map((value) => (typeof value === "string" ? value.replaceAll("\ufffd", "\udcff") : value));
    const exact = imageToRow(found.image, table.table.columns);
    return table.columns.columns.map(({ name }) => stored(exact[name] ?? null));
  }
}

/** Key values in the order of the table's own key. */
function inKeyOrder({ table, columns }: OpenTable, values: readonly Bindable[]): Bindable[] {
  const names = columns.key.map((place) => columns.columns[place]?.name);
  return table.key.map((name) => values[names.indexOf(name)] ?? null);
}

/** A range of the order `key` among the rows that are compared. */
function within({ columns, key, filter }: OpenTable, { from, to }: KeyRange): { sql: string; values: Bindable[] } {
  const place = `(${columns.key.map(() => "?").join(", ")})`;
  const sides = [
    ...(from === null ? [] : [{ sql: `(${key}) >= ${place}`, values: columns.keyValues(from) }]),
    ...(to === null ? [] : [{ sql: `(${key}) < ${place}`, values: columns.keyValues(to) }]),
  ];
  const all = [filter, ...sides];
  return { sql: ` where ${all.map(({ sql }) => sql).join(" and ")}`, values: all.flatMap((side) => [...side.values]) };
}
