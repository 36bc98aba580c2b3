import type { TableName } from "../../change/names.ts";
import { textArray } from "./array-literal.ts";
import type { CapturedTable } from "./captured-tables.ts";
import { typed } from "./column-sql.ts";
import type { ConstraintReader, Constraints, ForeignKey, SharedNothing } from "./constraints.ts";
import { ident } from "./identifier.ts";
import type { TextRow } from "./incoming.ts";
import type { RowAccess } from "./rows.ts";
import { columnNamed } from "./set-statements.ts";

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
    readonly row: TextRow;
    /** Canonical; null where the table is not captured, or the row not there. */
    readonly key: string | null;
  };
}

/** A row that somebody wants to write (`row` holds the columns that are known to change), or to delete. */
export interface Intended {
  readonly table: CapturedTable;
  readonly key: TextRow;
  readonly row: TextRow | null;
}

/** Of rows that refer to one another in masses, some are enough to know. */
const MOST_REFERRING = 50;

/** What stands in the way of an intended change, by the rules of its table as they are and the rows as they are. */
export async function inTheWay(
  access: RowAccess,
  intended: Intended,
  constraints: ConstraintReader,
  tables: ReadonlyMap<TableName, CapturedTable>,
): Promise<InTheWay[]> {
  const rules = await constraints.of(intended.table);
  const found: InTheWay[] = [];
  if (intended.row === null) {
    for (const key of rules.referredBy) found.push(...(await referring(access, intended, key, tables)));
    return found;
  }
  const written = new Set(Object.keys(intended.row));
  const touched = (columns: readonly string[]): boolean => columns.some((column) => written.has(column) || column in rules.generated);
  for (const rule of rules.shared) if (touched(rule.columns)) found.push(...(await taken(access, intended, rule, rules)));
  for (const key of rules.references) if (touched(key.columns)) found.push(...(await missing(access, intended, key, rules)));
  return found;
}

/** The columns in the order of the table; others behind. (An hstore has an order of its own.) */
export const inColumnOrder = <T>(table: CapturedTable, row: { readonly [column: string]: T }): { [column: string]: T } => ({
  ...Object.fromEntries(table.columns.filter(({ name }) => Object.hasOwn(row, name)).map(({ name }) => [name, row[name] as T])),
  ...row,
});

const keyIs = (table: CapturedTable, from: number): string =>
  table.key.map((name, index) => `t.${ident(name)} = ${typed(`$${from + index}::text`, columnNamed(table, name))}`).join(" and ");

const json = (hstore: string, row: string): string => `${hstore}.hstore_to_json(${hstore}.hstore(${row}))::text`;

const keyJson = (hstore: string, table: CapturedTable): string =>
  `(select ${json(hstore, "k")} from (select ${table.key.map((name) => `t.${ident(name)}`).join(", ")}) as k)`;

/** The row as it would be: what is there under the key, with the written columns over it. Parameters from 1: names, values, the key. */
function wouldBe(access: RowAccess, { table, key, row }: Intended, columns: readonly string[], rules: Constraints) {
  const { hstore } = access;
  const expressions = columns.map((name) => {
    const generated = rules.generated[name];
    return generated === undefined ? ident(name) : `(${generated}) as ${ident(name)}`;
  });
  const names = Object.keys(row ?? {});
  return {
    text: `select ${expressions.join(", ")} from (
        select (${hstore}.populate_record((select t from ${table.sql} as t where ${keyIs(table, 3)}), ${hstore}.hstore($1::text[], $2::text[]))::${table.sql}).*) as r`,
    values: [textArray(names), textArray(names.map((name) => row?.[name] ?? null)), ...table.key.map((name) => key[name] ?? null)],
  };
}

async function taken(access: RowAccess, intended: Intended, rule: SharedNothing, rules: Constraints): Promise<InTheWay[]> {
  const { table } = intended;
  const row = wouldBe(access, intended, rule.columns, rules);
  const terms = rule.terms.map(({ expression }, index) => `(${expression}) as "tombolo ${index}"`);
  const same = rule.terms.map(({ expression, operator }, index) => {
    const equal = `(${expression}) ${operator} n."tombolo ${index}"`;
    return rule.nullsEqual ? `(${equal} or ((${expression}) is null and n."tombolo ${index}" is null))` : equal;
  });
  const about = rule.predicate === null ? [] : [`n."tombolo about"`, `(${rule.predicate})`];
  const { rows } = await access.client.query({
    text: `select ${keyJson(access.hstore, table)}, ${json(access.hstore, "t")}
      from ${table.sql} as t, (select ${[...terms, `(${rule.predicate ?? "true"}) as "tombolo about"`].join(", ")} from (${row.text}) as r) as n
     where ${[...same, ...about].join(" and ")} and not (${keyIs(table, 3)}) limit ${MOST_REFERRING}`,
    values: row.values,
    rowMode: "array",
  });
  return (rows as [string, string][]).map(([key, text]) => ({
    kind: "taken",
    constraint: rule.name,
    columns: rule.columns,
    other: { table: table.name, captured: table.name, row: inColumnOrder(table, JSON.parse(text) as TextRow), key },
  }));
}

async function missing(access: RowAccess, intended: Intended, key: ForeignKey, rules: Constraints): Promise<InTheWay[]> {
  // a row that refers to itself brings what it refers to
  const own = key.other.captured === intended.table.name;
  const row = wouldBe(access, intended, [...new Set([...key.columns, ...(own ? key.to : [])])], rules);
  const equal = (a: string, name: string, index: number): string =>
    `${a}.${ident(name)} ${key.operators[index]} n.${ident(key.columns[index] as string)}`;
  const refers = key.columns.map((name) => `n.${ident(name)} is not null`).join(" and ");
  const there = key.to.map((name, index) => equal("o", name, index)).join(" and ");
  const itself = own ? ` and not coalesce(${key.to.map((name, index) => equal("n", name, index)).join(" and ")}, false)` : "";
  const wanted = key.to.map((name, index) => `n.${ident(key.columns[index] as string)} as ${ident(name)}`).join(", ");
  const { rows } = await access.client.query({
    text: `select ${json(access.hstore, "m")} from (${row.text}) as n, lateral (select ${wanted}) as m
      where ${refers}${itself} and not exists (select from ${key.other.sql} as o where ${there})`,
    values: row.values,
    rowMode: "array",
  });
  return (rows as [string][]).map(([text]) => ({
    kind: "missing",
    constraint: key.name,
    columns: key.columns,
    other: { table: key.other.captured ?? key.other.sql, captured: key.other.captured, row: JSON.parse(text) as TextRow, key: null },
  }));
}

async function referring(
  access: RowAccess,
  { table, key }: Intended,
  foreign: ForeignKey,
  tables: ReadonlyMap<TableName, CapturedTable>,
): Promise<InTheWay[]> {
  const captured = foreign.other.captured === null ? undefined : tables.get(foreign.other.captured);
  const matches = foreign.columns.map(
    (name, index) => `p.${ident(foreign.to[index] as string)} ${foreign.operators[index]} t.${ident(name)}`,
  );
  const { rows } = await access.client.query({
    text: `select ${captured === undefined ? "null" : keyJson(access.hstore, captured)}, ${json(access.hstore, "t")}
      from ${foreign.other.sql} as t, (select * from ${table.sql} as t where ${keyIs(table, 1)}) as p where ${matches.join(" and ")} limit ${MOST_REFERRING}`,
    values: table.key.map((name) => key[name] ?? null),
    rowMode: "array",
  });
  return (rows as [string | null, string][]).map(([found, text]) => ({
    kind: "referred",
    constraint: foreign.name,
    columns: foreign.columns,
    other: {
      table: foreign.other.captured ?? foreign.other.sql,
      captured: foreign.other.captured,
      row: captured === undefined ? (JSON.parse(text) as TextRow) : inColumnOrder(captured, JSON.parse(text) as TextRow),
      key: found,
    },
  }));
}
