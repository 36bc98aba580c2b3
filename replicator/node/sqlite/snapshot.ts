import { SqliteError } from "better-sqlite3";
import type { Change } from "../../change/change.ts";
import { type NodeName, type Position, position, type TableName } from "../../change/names.ts";
import type { Tick } from "../change-log.ts";
import { type FillRows, imagesOf, passes, truncateOf } from "../fill-passes.ts";
import { filterFailed } from "../filter-fault.ts";
import type { FillScope, TableReader, TableSnapshot } from "../table-reader.ts";
import { imageOf, keyColumns } from "./capture.ts";
import { type CapturedTable, capturedTables, notCaptured } from "./captured-tables.ts";
import { ChangeText } from "./change-text.ts";
import { type Clock, isoTime, microseconds } from "./clock.ts";
import type { Connection, DatabaseFile } from "./connection.ts";
import { parentsFirst } from "./foreign-keys.ts";
import { groups } from "./groups.ts";
import { quote } from "./identifier.ts";
import { imageOfBytes } from "./image.ts";
import { readPeer } from "./peers.ts";
import { condition } from "./row-filter.ts";
import { newestEntry, seenNow, storeTick } from "./tick.ts";

/** Whole tables at a cut of the log. */
export class SqliteTableReader implements TableReader {
  readonly #file: DatabaseFile;
  readonly #clock: Clock;
  readonly #open = new Set<Snapshot>();

  constructor(options: { readonly file: DatabaseFile; readonly clock: Clock }) {
    this.#file = options.file;
    this.#clock = options.clock;
  }

  async open(names: readonly TableName[], scopes: ReadonlyMap<TableName, FillScope> = new Map()): Promise<TableSnapshot> {
    const connection = this.#file.connect();
    try {
      // a transaction that reads is a snapshot; writers are serial, so that its newest entry is exactly what it shows
      connection.exec("begin");
      const shown = { position: position(newestEntry(connection)), seen: seenNow(connection) };
      const tables = named(connection, names, this.#file.node);
      const tick = await this.#file.write((writer) => {
        // keeps what comes after the cut until its new reader has acknowledged something
        const hold = writer.prepare("insert into tombolo_hold (channel, position, made_at) values (?, ?, ?)");
        for (const channel of new Set(tables.map((table) => table.channel))) hold.run(channel, shown.position, isoTime(this.#clock()));
        return storeTick(writer, shown, this.#clock());
      });
      const closed = (): void => void this.#open.delete(snapshot);
      const snapshot: Snapshot = new Snapshot({ connection, tick, tables, scopes, at: isoTime(this.#clock()), closed });
      this.#open.add(snapshot);
      return snapshot;
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  seed(peer: NodeName, names: readonly TableName[]): Promise<Position> {
    return this.#file.write((connection) => {
      const { id } = readPeer(connection, peer);
      const known = connection.prepare("select seeded_at from tombolo_peer_table where peer_id = ? and table_name = ?").pluck();
      const mark = connection.prepare(
        `insert into tombolo_peer_table (peer_id, table_name, seeded_at) values (?, ?, ?)
          on conflict (peer_id, table_name) do update set seeded_at = excluded.seeded_at`,
      );
      const start = newestEntry(connection);
      let from = start;
      for (const table of parentsFirst(connection, named(connection, names, this.#file.node))) {
        const seeded = known.get(id, table.name) as bigint | null | undefined;
        if (seeded != null) {
          if (seeded < from) from = seeded;
          continue;
        }
        const name = quote(table.local);
        connection
          .prepare(
            `insert into tombolo_change (table_id, op, key, new, target, changed_at)
              select ?, 'I', ${imageOf(keyColumns(table), name)}, ${imageOf(table.columns, name)}, ?, ? from ${name}`,
          )
          .run(table.id, id, isoTime(this.#clock()));
        mark.run(id, table.name, start);
      }
      return position(from);
    });
  }

  close(): void {
    for (const snapshot of this.#open) snapshot.end();
  }
}

function named(connection: Connection, names: readonly TableName[], node: NodeName): CapturedTable[] {
  const captured = capturedTables(connection);
  return names.map((name) => {
    const table = captured.get(name);
    if (table === undefined) throw notCaptured(name, node);
    return table;
  });
}

function* explained(rows: Iterable<unknown>, table: CapturedTable, { inside, outside }: FillRows): Generator<[Buffer, Buffer]> {
  try {
    for (const row of rows) yield row as [Buffer, Buffer];
  } catch (error) {
    const filtered = inside !== null || (outside ?? null) !== null;
    throw filtered && error instanceof SqliteError && error.code === "SQLITE_ERROR" ? filterFailed([table.name], error.message) : error;
  }
}

/** A part of a fill as a condition on the table, and what it binds. */
function partCondition({ inside, outside }: FillRows): { sql: string; values: string[] } {
  const first = inside === null ? { sql: "1", values: [] } : condition(inside);
  const second = outside === undefined ? { sql: "0", values: [] } : outside === null ? { sql: "1", values: [] } : condition(outside);
  return { sql: ` where ${first.sql} and not ${second.sql}`, values: [...first.values, ...second.values] };
}

/** Holds a read transaction on a connection of its own: the WAL grows with what is written until it is closed. */
class Snapshot implements TableSnapshot {
  readonly tick: Tick;
  readonly #connection: Connection;
  readonly #tables: readonly CapturedTable[];
  readonly #scopes: ReadonlyMap<TableName, FillScope>;
  readonly #at: string;
  readonly #closed: () => void;

  constructor(options: {
    readonly connection: Connection;
    readonly tick: Tick;
    readonly tables: readonly CapturedTable[];
    readonly scopes: ReadonlyMap<TableName, FillScope>;
    readonly at: string;
    readonly closed: () => void;
  }) {
    this.tick = options.tick;
    this.#connection = options.connection;
    this.#tables = options.tables;
    this.#scopes = options.scopes;
    this.#at = options.at;
    this.#closed = options.closed;
  }

  async *rows(maxRows: number, maxBytes: number): AsyncGenerator<readonly Change[]> {
    for (const { table, part } of passes(parentsFirst(this.#connection, this.#tables), this.#scopes)) {
      if (part.as === "truncate") yield [truncateOf(this.#tables.indexOf(table), microseconds(this.#at))];
      else yield* groups(this.#tableRows(table, part), { maxRows, maxBytes });
    }
  }

  *#tableRows(table: CapturedTable, part: FillRows): Generator<Change> {
    const text = new ChangeText({
      table: this.#tables.indexOf(table),
      shape: { ...table, table: table.name },
      now: table.columns,
      wholeImages: true,
    });
    const name = quote(table.local);
    // as bytes: text that is not UTF-8 must not be mended on the way
    const { sql: where, values } = partCondition(part);
    const sql = `select cast(${imageOf(keyColumns(table), name)} as blob), cast(${imageOf(table.columns, name)} as blob) from ${name}${where}`;
    for (const [key, image] of explained(
      this.#connection
        .prepare(sql)
        .raw()
        .iterate(...values),
      table,
      part,
    )) {
      const { op, old, new: now } = imagesOf(part, imageOfBytes(image));
      const change = text.change(op, imageOfBytes(key), { old, new: now, changedAt: this.#at });
      if (change !== null) yield change;
    }
  }

  async close(): Promise<void> {
    this.end();
  }

  end(): void {
    if (!this.#connection.open) return;
    this.#connection.close();
    this.#closed();
  }
}
