import { TomboloError } from "../../change/error.ts";
import { type ChannelName, channelName, type NodeName, type TableName, tableName } from "../../change/names.ts";
import type { Column } from "../../change/shape.ts";
import type { Connection } from "./connection.ts";
import { prepared } from "./rows.ts";

/** A captured table, as the images that are logged now describe it. */
export interface CapturedTable {
  /** Of its shape; goes with every entry in the log. */
  readonly id: number;
  readonly name: TableName;
  readonly channel: ChannelName;
  readonly local: string;
  readonly columns: readonly Column[];
  readonly key: readonly string[];
  /** Columns that stay at home, as the topology names them. */
  readonly excluded: readonly string[];
  readonly wholeImages: boolean;
  readonly fingerprint: string;
  readonly state: string;
  readonly reason: string | null;
}

/** Columns and key of images with one table id. */
export interface StoredShape {
  readonly id: number;
  readonly table: TableName;
  readonly columns: readonly Column[];
  readonly key: readonly string[];
}

/** `c.*`: in a database of an older version there is less. */
const SELECT = `select c.*, s.columns, s.key_columns
  from tombolo_captured_table c join tombolo_shape s on s.id = c.id`;

/** All captured tables by name; none where nothing is installed. */
export function capturedTables(connection: Connection): Map<TableName, CapturedTable> {
  if (!isInstalled(connection)) return new Map();
  const rows = connection.prepare(SELECT).all() as CapturedRow[];
  return new Map(
    rows.map((row) => [
      tableName(row.table_name),
      {
        id: Number(row.id),
        name: tableName(row.table_name),
        channel: channelName(row.channel),
        local: row.local_table,
        columns: JSON.parse(row.columns) as Column[],
        key: JSON.parse(row.key_columns) as string[],
        excluded: JSON.parse(row.excluded ?? "[]") as string[],
        wholeImages: row.whole_images === 1n,
        fingerprint: row.fingerprint,
        state: row.state,
        reason: row.reason,
      },
    ]),
  );
}

interface CapturedRow {
  readonly id: bigint;
  readonly table_name: string;
  readonly channel: string;
  readonly local_table: string;
  readonly columns: string;
  readonly key_columns: string;
  readonly excluded?: string;
  readonly whole_images: bigint;
  readonly fingerprint: string;
  readonly state: string;
  readonly reason: string | null;
}

export function capturedTable(connection: Connection, name: TableName, node: NodeName): CapturedTable {
  const table = capturedTables(connection).get(name);
  if (table === undefined) throw notCaptured(name, node);
  return table;
}

export const notCaptured = (table: TableName, node: NodeName): TomboloError =>
  new TomboloError(`${node}: table ${table} is not captured, or no longer as it is`, {
    code: "TABLE_NOT_CAPTURED",
    kind: "operator",
    hint: "run `tombolo plan`, then `tombolo apply`",
  });

/** Every shape that images in the log may have, by table id. */
export function storedShapes(connection: Connection): Map<number, StoredShape> {
  const rows = connection.prepare("select id, table_name, columns, key_columns from tombolo_shape").raw().all() as [
    bigint,
    string,
    string,
    string,
  ][];
  return new Map(
    rows.map(([id, name, columns, key]) => [
      Number(id),
      { id: Number(id), table: tableName(name), columns: JSON.parse(columns) as Column[], key: JSON.parse(key) as string[] },
    ]),
  );
}

/**
 * The ids that entries of a table may have in the log, by its id now: those of earlier shapes with the same key too, as they are when
 * columns came or went while changes waited to be sent or judged.
 */
export const shapeIds = (connection: Connection, tableId: number): bigint[] =>
  prepared(
    connection,
    `select o.id from tombolo_shape o join tombolo_shape now on now.table_name = o.table_name and now.key_columns = o.key_columns
      where now.id = ? order by o.id desc`,
  )
    .pluck()
    .all(tableId) as bigint[];

export const isInstalled = (connection: Connection): boolean =>
  prepared(connection, "select 1 from sqlite_schema where type = 'table' and name = 'tombolo_node'").pluck().get() !== undefined;

/** Throws `NODE_NOT_INSTALLED` (operator) where `apply` has not run. */
export function requireInstalled(connection: Connection, node: NodeName): void {
  if (isInstalled(connection)) return;
  throw new TomboloError(`${node}: Tombolo is not installed in this database`, {
    code: "NODE_NOT_INSTALLED",
    kind: "operator",
    hint: "run `tombolo apply`",
  });
}
