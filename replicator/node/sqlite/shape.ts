import { createHash } from "node:crypto";
import type { ChannelName, TableName } from "../../change/names.ts";
import type { Column, Reference, TableShape } from "../../change/shape.ts";
import type { Connection } from "./connection.ts";
import { type IndexText, indexText } from "./index-terms.ts";

/** A unique key of a table, the primary key included: what a REPLACE may make room for. */
export interface UniqueKey {
  /** null for `integer primary key`, which has no index of its own. */
  readonly index: string | null;
  /** The column, or null for an expression; its collation. */
  readonly terms: readonly { readonly column: string | null; readonly collation: string }[];
  /** The text of the index, where a term is an expression or it is partial. */
  readonly text: IndexText | null;
  readonly partial: boolean;
}

/** A table as it is in the database. */
export interface LocalTable {
  readonly name: string;
  /** Those that travel: neither generated ones nor those that stay at home. */
  readonly columns: readonly Column[];
  /** Names of stored columns that stay at home. */
  readonly excluded: readonly string[];
  /** Names of generated columns, which do not travel. */
  readonly generated: readonly string[];
  /** Names of key columns in key order; empty when there is no usable key. */
  readonly key: readonly string[];
  /** Why there is no usable key. */
  readonly keyProblem: "none" | "nullable" | null;
  readonly uniques: readonly UniqueKey[];
  readonly strict: boolean;
  readonly withoutRowid: boolean;
  /** A name under which the rowid can be had; null without one, or where it is the key. */
  readonly rowid: string | null;
  /** Local names of tables that its foreign keys refer to. */
  readonly references: readonly string[];
}

export type LocalKind = "table" | "view" | "virtual" | "shadow" | "missing";

export function localKind(connection: Connection, name: string): LocalKind {
  const row = connection.prepare("select type from pragma_table_list where schema = 'main' and name = ? collate nocase").pluck().get(name);
  return row === undefined ? "missing" : (row as LocalKind);
}

interface ColumnInfo {
  readonly name: string;
  readonly type: string;
  readonly notnull: bigint;
  readonly pk: bigint;
  readonly hidden: bigint;
}

/** Reads an ordinary table of which the columns of `exclude` stay at home; null when there is none of that name. */
export function readTable(connection: Connection, name: string, exclude: readonly string[] = []): LocalTable | null {
  const listed = connection
    .prepare("select name, wr, strict from pragma_table_list where schema = 'main' and type = 'table' and name = ? collate nocase")
    .get(name) as { name: string; wr: bigint; strict: bigint } | undefined;
  if (listed === undefined) return null;
  const infos = connection.prepare("select name, type, [notnull], pk, hidden from pragma_table_xinfo(?)").all(listed.name) as ColumnInfo[];
  const stored = infos.filter(({ hidden }) => hidden === 0n);
  const primary = infos.filter(({ pk }) => pk > 0n).sort((a, b) => Number(a.pk - b.pk));
  const withoutRowid = listed.wr === 1n;
  const strict = listed.strict === 1n;
  const indexes = uniqueIndexes(connection, listed.name);
  const alias = primary.length === 1 && !withoutRowid && !indexes.some(({ primary: own }) => own) ? (primary[0] as ColumnInfo).name : null;
  const uniques: UniqueKey[] = indexes.map(({ unique }) => unique);
  if (alias !== null) uniques.unshift({ index: null, terms: [{ column: alias, collation: "BINARY" }], text: null, partial: false });
  const key = chooseKey({ stored, primary, indexes, sound: withoutRowid || strict || alias !== null });
  const staying = new Set(exclude.map((column) => column.toLowerCase()));
  const stays = (info: ColumnInfo): boolean => staying.has(info.name.toLowerCase());
  const names = new Set(infos.map((column) => column.name.toLowerCase()));
  return {
    name: listed.name,
    columns: stored
      .filter((info) => !stays(info))
      .map((info) => ({ name: info.name, type: info.type, notNull: info.notnull === 1n || key.columns.includes(info.name) })),
    excluded: stored.filter(stays).map((info) => info.name),
    generated: infos.filter(({ hidden }) => hidden !== 0n).map((info) => info.name),
    key: key.columns,
    keyProblem: key.problem,
    uniques,
    strict,
    withoutRowid,
    rowid: withoutRowid || alias !== null ? null : (["rowid", "_rowid_", "oid"].find((candidate) => !names.has(candidate)) ?? null),
    references: connection.prepare("select distinct [table] from pragma_foreign_key_list(?)").pluck().all(listed.name) as string[],
  };
}

interface UniqueIndex {
  readonly unique: UniqueKey;
  readonly primary: boolean;
}

function uniqueIndexes(connection: Connection, table: string): UniqueIndex[] {
  const list = connection
    .prepare("select name, origin, partial from pragma_index_list(?) where [unique] = 1 order by origin <> 'pk', seq desc")
    .all(table) as { name: string; origin: string; partial: bigint }[];
  return list.map(({ name, origin, partial }) => {
    const terms = connection
      .prepare("select name as [column], coll as collation from pragma_index_xinfo(?) where key = 1 order by seqno")
      .all(name) as { column: string | null; collation: string }[];
    const sql = connection.prepare("select sql from sqlite_schema where type = 'index' and name = ?").pluck().get(name) as
      | string
      | null
      | undefined;
    const parsed = typeof sql === "string" && (partial === 1n || terms.some(({ column }) => column === null)) ? indexText(sql) : null;
    return { unique: { index: name, terms, text: parsed, partial: partial === 1n }, primary: origin === "pk" };
  });
}

/** The primary key where it cannot hold NULL; else the first whole unique index over columns that cannot. */
function chooseKey(table: {
  readonly stored: readonly ColumnInfo[];
  readonly primary: readonly ColumnInfo[];
  readonly indexes: readonly UniqueIndex[];
  readonly sound: boolean;
}): { columns: string[]; problem: LocalTable["keyProblem"] } {
  const { stored, primary, indexes, sound } = table;
  const solid = (name: string | null): boolean => stored.some((column) => column.name === name && column.notnull === 1n);
  const inTable = primary.every((column) => stored.includes(column));
  if (primary.length > 0 && inTable && (sound || primary.every(({ name }) => solid(name)))) {
    return { columns: primary.map(({ name }) => name), problem: null };
  }
  for (const { unique } of indexes) {
    if (!unique.partial && unique.terms.every(({ column }) => solid(column))) {
      return { columns: unique.terms.map(({ column }) => column as string), problem: null };
    }
  }
  return { columns: [], problem: primary.length > 0 ? "nullable" : "none" };
}

export const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

/** The shape that packets carry. */
export function tableShape(
  table: TableName,
  channel: ChannelName,
  columns: readonly Column[],
  key: readonly string[],
  references: readonly Reference[] = [],
): TableShape {
  const hash = sha256(JSON.stringify(["sqlite", columns, key]));
  return { table, channel, engine: "sqlite", columns, key, ...(references.length > 0 && { references }), hash };
}
