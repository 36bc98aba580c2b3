import type { Column } from "../../change/shape.ts";
import { literal, quote } from "./identifier.ts";
import type { LocalTable, UniqueKey } from "./shape.ts";

export interface Trigger {
  readonly name: string;
  readonly sql: string;
}

const NOW = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')";
/** What the applier says about the change that it makes: whose it is, and when it was made. */
const MARK = `(select applying_peer from tombolo_local), coalesce((select changed_at from tombolo_local), ${NOW})`;
const LOGGING = "(select skip from tombolo_local) = 0";
/** REPLACE is something that only applications do. */
const APPLICATION = "(select applying_peer from tombolo_local) is null";

/**
 * The capture triggers of one table, which the application's own SQLite runs (3.38 or newer, core functions only):
 *
 * - after insert, update, delete: the change with its whole images; an update of the key is a delete and an insert;
 * - before insert, update: a touch (`H`) of every row that has a unique key in common with the new one. A REPLACE deletes such
 *   rows, and their delete triggers do not fire unless the connection asked for recursive triggers. Whether it did delete them
 *   shows in what comes after (see chains.ts); here we cannot know what the statement will do.
 *
 * They should be the youngest triggers of their table: SQLite runs the youngest first, so that the log holds an insert before what
 * an application's trigger does to the new row.
 */
export function captureTriggers(id: number, table: LocalTable): readonly Trigger[] {
  const name = (suffix: string): string => `tombolo_capture_${id}_${suffix}`;
  const on = quote(table.name);
  const sameKey = allOf(table.key.map((column) => same("old", "new", column)));
  const changed = anyOf(table.columns.map((column) => differs(column.name)));
  const body = (...statements: string[]): string => `begin\n${statements.map((statement) => `  ${statement};\n`).join("")}end`;
  const made = (suffix: string, event: string, when: string, ...statements: string[]): Trigger => ({
    name: name(suffix),
    sql: `create trigger ${quote(name(suffix))} ${event} on ${on}\nwhen ${when}\n${body(...statements)}`,
  });
  const deleted = entry(id, table, { op: "D", old: "old", new: null });
  const inserted = entry(id, table, { op: "I", old: null, new: "new" });
  const triggers = [
    made("insert", "after insert", LOGGING, inserted),
    made("update", "after update", `${LOGGING} and ${sameKey} and ${changed}`, entry(id, table, { op: "U", old: "old", new: "new" })),
    made("rekey", "after update", `${LOGGING} and not ${sameKey}`, deleted, inserted),
    made("delete", "after delete", LOGGING, deleted),
  ];
  const collisions = uniqueConditions(table);
  if (collisions.length > 0) {
    const touch = (condition: string): string =>
      `insert into tombolo_change (table_id, op, key, old, origin, changed_at)\n    ` +
      `select ${id}, 'H', ${imageOf(keyColumns(table), on)}, ${imageOf(table.columns, on)}, null, ${NOW}\n      from ${on} where ${condition}`;
    const other = `not ${allOf(table.key.map((column) => same(on, "old", column)))}`;
    triggers.push(
      made("before_insert", "before insert", APPLICATION, ...collisions.map(touch)),
      made(
        "before_update",
        "before update",
        `${APPLICATION} and ${uniqueColumnsChange(table)}`,
        ...collisions.map((condition) => touch(`${condition} and ${other}`)),
      ),
    );
  }
  return triggers;
}

function entry(
  id: number,
  table: LocalTable,
  images: { readonly op: string; readonly old: string | null; readonly new: string | null },
): string {
  const key = imageOf(keyColumns(table), images.new ?? (images.old as string));
  const image = (row: string | null): string => (row === null ? "null" : imageOf(table.columns, row));
  return (
    `insert into tombolo_change (table_id, op, key, old, new, origin, changed_at)\n    ` +
    `values (${id}, ${literal(images.op)}, ${key}, ${image(images.old)}, ${image(images.new)}, ${MARK})`
  );
}

export const keyColumns = (table: { readonly columns: readonly Column[]; readonly key: readonly string[] }): readonly Column[] =>
  table.key.map((name) => table.columns.find((column) => column.name === name) as Column);

/** An expression for the image of a row: the values as SQL literals, with commas between them. `row` is a name for the row, or "" . */
export function imageOf(columns: readonly Column[], row: string): string {
  return balanced(
    columns.map((column) => exactLiteral(`${row}.${quote(column.name)}`)),
    " || ',' || ",
  );
}

/** quote() is exact for all but text that holds U+0000, where it stops; that is written as `t'<hex>'`. */
export function exactLiteral(value: string): string {
  return `case when typeof(${value}) = 'text' and instr(${value}, char(0)) then 't''' || hex(${value}) || '''' else quote(${value}) end`;
}

const same = (a: string, b: string, column: string): string =>
  `(${a}.${quote(column)} is ${b}.${quote(column)} collate binary and typeof(${a}.${quote(column)}) = typeof(${b}.${quote(column)}))`;

const differs = (column: string): string =>
  `(old.${quote(column)} is not new.${quote(column)} collate binary or typeof(old.${quote(column)}) <> typeof(new.${quote(column)}))`;

const allOf = (conditions: readonly string[]): string => balanced(conditions, " and ");
const anyOf = (conditions: readonly string[]): string => balanced(conditions, " or ");

/** Joined as a balanced tree of brackets: SQLite takes expressions of depth 1000 at most, and tables of 2000 columns. */
function balanced(terms: readonly string[], operator: string): string {
  if (terms.length <= 1) return `(${terms[0] ?? "1"})`;
  const middle = terms.length >> 1;
  return `(${balanced(terms.slice(0, middle), operator)}${operator}${balanced(terms.slice(middle), operator)})`;
}

/** For each unique key, and for a rowid that is no key: the condition that a row of the table has it in common with `new`. */
function uniqueConditions(table: LocalTable): string[] {
  const conditions = table.uniques.map((unique) => uniqueCondition(table, unique));
  if (table.rowid !== null) conditions.push(`${quote(table.name)}.${table.rowid} = new.${table.rowid}`);
  return [...new Set(conditions)];
}

function uniqueCondition(table: LocalTable, unique: UniqueKey): string {
  const terms = unique.terms.map(({ column, collation }, at) => {
    if (column !== null) return `${quote(table.name)}.${quote(column)} = new.${quote(column)} collate ${quote(collation)}`;
    // for the row that is there the expression is as it was written, so that its index can be used
    const expression = `(${unique.text?.terms[at] ?? "null"})`;
    return `${expression} = ${inNew(table, expression)} collate ${quote(collation)}`;
  });
  const where = unique.text?.where ?? null;
  if (where !== null) terms.push(`(${where})`);
  return allOf(terms);
}

/** An expression that names columns plainly, evaluated for the new row. */
function inNew(table: LocalTable, expression: string): string {
  const names = [...storedColumns(table), ...table.generated];
  const columns = names.map((name) => `new.${quote(name)} as ${quote(name)}`).join(", ");
  return `(select ${expression} from (select ${columns}) as ${quote(table.name)})`;
}

/** With those that stay at home: a unique key may look at them. */
const storedColumns = ({ columns, excluded }: LocalTable): string[] => [...columns.map(({ name }) => name), ...excluded];

/** Only a change of a column that a unique key looks at can collide. */
function uniqueColumnsChange(table: LocalTable): string {
  const stored = new Set(storedColumns(table));
  const plain = table.uniques.every(
    ({ text, terms }) => text === null && terms.every(({ column }) => column !== null && stored.has(column)),
  );
  if (!plain) return anyOf([...stored].map(differs));
  const columns = new Set([...table.key, ...table.uniques.flatMap(({ terms }) => terms.map(({ column }) => column as string))]);
  const conditions = [...columns].map(differs);
  if (table.rowid !== null) conditions.push(`old.${table.rowid} is not new.${table.rowid}`);
  return anyOf(conditions);
}
