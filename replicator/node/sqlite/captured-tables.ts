import { TomboloError } from "../../change/error.ts";
import { type ChannelName, channelName, type NodeName, type TableName, tableName } from "../../change/names.ts";
import type { Column } from "../../change/shape.ts";
import type { Connection } from "./connection.ts";

/** A captured table, as the images that are logged now describe it. */
export interface CapturedTable {
  /** Of its shape; goes with every entry in the log. */
  readonly id: number;
  readonly name: TableName;
  readonly channel: ChannelName;
  readonly local: string;
  readonly columns: readonly Column[];
  readonly key: readonly string[];
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

const SELECT = `select c.id, c.table_name, c.channel, c.local_table, s.columns, s.key_columns, c.whole_images, c.fingerprint, c.state, c.reason
  from tombolo_captured_table c join tombolo_shape s on s.id = c.id`;

/** All captured tables by name; none where nothing is installed. */
export function capturedTables(connection: Connection): Map<TableName, CapturedTable> {
  if (!isInstalled(connection)) return new Map();
  const rows = connection.prepare(SELECT).raw().all() as [
    bigint,
    string,
    string,
    string,
    string,
    string,
    bigint,
    string,
    string,
    string | null,
  ][];
  return new Map(
    rows.map(([id, name, channel, local, columns, key, wholeImages, fingerprint, state, reason]) => [
      tableName(name),
      {
        id: Number(id),
        name: tableName(name),
        channel: channelName(channel),
        local,
        columns: JSON.parse(columns) as Column[],
        key: JSON.parse(key) as string[],
        wholeImages: wholeImages === 1n,
        fingerprint,
        state,
        reason,
      },
    ]),
  );
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

export const isInstalled = (connection: Connection): boolean =>
  connection.prepare("select 1 from sqlite_schema where type = 'table' and name = 'tombolo_node'").pluck().get() !== undefined;

/** Throws `NODE_NOT_INSTALLED` (operator) where `apply` has not run. */
export function requireInstalled(connection: Connection, node: NodeName): void {
  if (isInstalled(connection)) return;
  throw new TomboloError(`${node}: Tombolo is not installed in this database`, {
    code: "NODE_NOT_INSTALLED",
    kind: "operator",
    hint: "run `tombolo apply`",
  });
}
