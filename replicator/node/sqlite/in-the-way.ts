import type { TableName } from "../../change/names.ts";
import { type Row, sameValue } from "../../change/value.ts";
import { imageOf, keyColumns } from "./capture.ts";
import type { CapturedTable } from "./captured-tables.ts";
import type { Connection } from "./connection.ts";
import { type Constraints, readConstraints, type SharedNothing } from "./constraints.ts";
import type { ForeignKey } from "./foreign-keys.ts";
import { quote } from "./identifier.ts";
import { type Image, imageToRow } from "./image.ts";
import { asRow, type NamedValues } from "./incoming.ts";
import { type Bindable, findRow, prepared, rowOf, stored } from "./rows.ts";

/** A row that a change would need to be another, or to be there at all. */
export interface InTheWay {
  /** `taken`: another row has the values; `missing`: a row that it refers to is not there; `referred`: rows refer to what it deletes. */
  readonly kind: "taken" | "missing" | "referred";
  readonly constraint: string;
  /** Of the change's table; of the other one where rows refer to it. */
  readonly columns: readonly string[];
  readonly other: {
    /** As the topology names it; as the database does where it is not captured. */
    readonly table: string;
    readonly captured: TableName | null;
    /** The row, or what is known of the missing one. */
    readonly row: Row;
    /** As the log writes it; null where the table is not captured, or the row not there. */
    readonly key: Image | null;
  };
}

/** A row that somebody wants to write (`row` holds the columns that are known to change), or to delete. */
export interface Intended {
  readonly table: CapturedTable;
  readonly key: readonly Bindable[];
  readonly row: NamedValues | null;
}

/** Of rows that refer to one another in masses, some are enough to know. */
const MOST_REFERRING = 50n;

/** What stands in the way of an intended change, by the rules of its table as they are and the rows as they are. `tables` by local name in lower case. */
export function inTheWay(connection: Connection, intended: Intended, tables: ReadonlyMap<string, CapturedTable>): InTheWay[] {
  const rules = readConstraints(connection, intended.table.local);
  if (rules === null) return [];
  const now = rowOf(intended.table, findRow(connection, intended.table, intended.key));
  if (intended.row === null) return now === null ? [] : rules.referredBy.flatMap((key) => referring(connection, now, key, tables));
  const written = asRow(intended.row);
  const touched = (columns: readonly string[]): boolean =>
    columns.some((column) => Object.hasOwn(written, column) || rules.table.generated.includes(column));
  return [
    ...rules.shared.filter(({ columns }) => touched(columns)).flatMap((rule) => taken(connection, intended, rule, rules)),
    ...rules.references
      .filter(({ columns }) => touched(columns))
      .flatMap((key) => missing(connection, { ...now, ...written }, key, tables)),
  ];
}

function taken(connection: Connection, { table, key, row }: Intended, rule: SharedNothing, { table: local }: Constraints): InTheWay[] {
  const name = quote(table.local);
  const values = new Map(row?.set.names.map((column, at) => [column, row.values[at] ?? null]));
  const written: Bindable[] = [];
  // the row as it would be, under the table's name, so that expressions mean it
  const columns = [...local.columns.map((column) => column.name), ...local.generated].map((column) => {
    if (!values.has(column)) return `"tombolo now".${quote(column)} as ${quote(column)}`;
    written.push(values.get(column) ?? null);
    return `? as ${quote(column)}`;
  });
  const own = `select ${columns.join(", ")} from (select 1) left join ${name} as "tombolo now" on ${key.map((_, at) => `"tombolo now".${quote(table.key[at] as string)} = ?`).join(" and ")}`;
  const terms = rule.terms.map(({ column }, at) => (column === null ? `(${rule.text?.terms[at] ?? "null"})` : `${name}.${quote(column)}`));
  const about = rule.text?.where ?? null;
  const wanted = [...terms.map((term, at) => `${term} as "tombolo ${at}"`), `${about === null ? "1" : `(${about})`} as "tombolo about"`];
  const same = rule.terms.map(({ collation }, at) => `${terms[at]} = n."tombolo ${at}" collate ${quote(collation)}`);
  const sql = `select ${imageOf(keyColumns(table), name)}, ${imageOf(table.columns, name)}
      from ${name}, (select ${wanted.join(", ")} from (${own}) as ${name}) as n
     where ${[...same, `n."tombolo about"`, ...(about === null ? [] : [`(${about})`])].join(" and ")} and not (${keyOf(name, table)}) limit ${MOST_REFERRING}`;
  const rows = prepared(connection, sql)
    .raw()
    .all(...written, ...key, ...key) as [Image, Image][];
  return rows.map(([image, found]) => ({
    kind: "taken",
    constraint: rule.index ?? `the key of ${table.local}`,
    columns: rule.columns,
    other: { table: table.name, captured: table.name, row: imageToRow(found, table.columns), key: image },
  }));
}

const keyOf = (name: string, table: CapturedTable): string => table.key.map((column) => `${name}.${quote(column)} = ?`).join(" and ");

function missing(connection: Connection, row: Row, key: ForeignKey, tables: ReadonlyMap<string, CapturedTable>): InTheWay[] {
  const values = key.columns.map((column) => row[column] ?? null);
  if (values.includes(null)) return [];
  // a row that refers to itself brings what it refers to
  if (key.child === key.parent && key.to.every((column, at) => sameValue(row[column], values[at]))) return [];
  const matches = key.to.map((column) => `${quote(column)} = ?`).join(" and ");
  const there = prepared(connection, `select 1 from ${quote(key.parent)} where ${matches}`)
    .pluck()
    .get(...values.map(stored));
  if (there !== undefined) return [];
  const wanted = Object.fromEntries(key.to.map((column, at) => [column, values[at] ?? null]));
  const captured = tables.get(key.parent);
  return [
    {
      kind: "missing",
      constraint: foreignKeyName(key),
      columns: key.columns,
      other: { table: captured?.name ?? key.parent, captured: captured?.name ?? null, row: wanted, key: null },
    },
  ];
}

function referring(connection: Connection, row: Row, key: ForeignKey, tables: ReadonlyMap<string, CapturedTable>): InTheWay[] {
  const captured = tables.get(key.child);
  const values = key.to.map((column) => row[column] ?? null);
  if (captured === undefined || values.includes(null)) {
    // a table that is not captured is named, and no row of it
    const any = values.includes(null)
      ? undefined
      : prepared(connection, `select 1 from ${quote(key.child)} where ${key.columns.map((column) => `${quote(column)} = ?`).join(" and ")}`)
          .pluck()
          .get(...values.map(stored));
    const other = {
      table: key.child,
      captured: null,
      row: Object.fromEntries(key.columns.map((column, at) => [column, values[at] ?? null])),
      key: null,
    };
    return any === undefined ? [] : [{ kind: "referred", constraint: foreignKeyName(key), columns: key.columns, other }];
  }
  const name = quote(captured.local);
  const sql = `select ${imageOf(keyColumns(captured), name)}, ${imageOf(captured.columns, name)} from ${name}
    where ${key.columns.map((column) => `${quote(column)} = ?`).join(" and ")} limit ${MOST_REFERRING}`;
  const rows = prepared(connection, sql)
    .raw()
    .all(...values.map(stored)) as [Image, Image][];
  return rows.map(([image, found]) => ({
    kind: "referred",
    constraint: foreignKeyName(key),
    columns: key.columns,
    other: { table: captured.name, captured: captured.name, row: imageToRow(found, captured.columns), key: image },
  }));
}

/** SQLite does not tell their names. */
export const foreignKeyName = ({ child, columns, parent }: ForeignKey): string =>
  `foreign key (${columns.join(", ")}) of ${child} to ${parent}`;
