import type pg from "pg";
import { filterText } from "../../change/filter-text.ts";
import type { TableName } from "../../change/names.ts";
import type { FilterForm, RowFilter } from "../../change/row-filter.ts";
import { type FilterFault, fault, filterError, filterFinding } from "../filter-fault.ts";
import type { Finding, WantedTable } from "../installation.ts";
import { ident, qualified } from "./identifier.ts";
import { isServerError, postgresError } from "./postgres-error.ts";
import { splitLocal } from "./refuse.ts";
import { type FilteredTable, rowsOf } from "./row-filter.ts";
import { relationsNamed, shapeOf } from "./shape.ts";
import * as state from "./sqlstate.ts";

type CheckedTable = Pick<FilteredTable, "local" | "columns"> & { readonly sql: string };

/** What keeps the filters of these tables from choosing rows here. Leaves nothing behind. */
export async function filterFindings(pool: pg.Pool, wanted: readonly WantedTable[]): Promise<Finding[]> {
  const filtered = wanted.filter(({ filters }) => filters.length > 0);
  if (filtered.length === 0) return [];
  return rolledBack(pool, async (client) => {
    const findings: Finding[] = [];
    const relations = await relationsNamed(
      client,
      filtered.map(({ local }) => splitLocal(local)),
    );
    for (const table of filtered) {
      const place = splitLocal(table.local);
      const relation = relations.find(({ schema, name }) => schema === place.schema && name === place.table);
      if (relation === undefined) continue;
      const columns = shapeOf(relation, table.table, table.channel, table.exclude).columns;
      const checked = { local: place.table, columns, sql: qualified(place.schema, place.table) };
      const said = new Set<string>();
      for (const filter of table.filters) {
        const found = await check(client, checked, filter);
        if (found === null || said.has(found.message)) continue;
        said.add(found.message);
        findings.push(filterFinding(table.table, found));
      }
    }
    return findings;
  });
}

/** Throws what `FilterFault` names, as an error. */
export async function requireFilter(pool: pg.Pool, table: CheckedTable & { readonly name: TableName }, filter: RowFilter): Promise<void> {
  const found = await rolledBack(pool, (client) => check(client, table, filter));
  if (found !== null) throw filterError(table.name, found);
}

/**
 * Asks Postgres itself. The filter is prepared, which tells the types of its parameters, and then made the condition of an index on an empty
 * temporary table with the same columns and a column in the place of each parameter: there Postgres takes nothing but immutable functions of the
 * row, no subquery, no aggregate and no column of the system.
 */
async function check(client: pg.ClientBase, table: CheckedTable, filter: FilterForm): Promise<FilterFault | null> {
  const { tokens, problem } = filterText(filter.text, "postgres");
  if (problem !== null) return fault("FILTER_INVALID", `is not one condition: ${problem}`);
  const written = (place: (occurrence: number) => string): string => {
    let count = 0;
    return `((${tokens.map(({ kind, text }) => (kind === "param" ? place(count++) : text)).join("")}) is true)`;
  };
  const params = tokens.filter(({ kind }) => kind === "param").map(({ text }) => text);
  await client.query("savepoint filter");
  let prepared = false;
  try {
    await client.query(
      `prepare tombolo_filter as select from ${rowsOf({ ...table, collations: {} })} where ${written((at) => `$${at + 1}`)}`,
    );
    prepared = true;
    const { rows } = await client.query<{ types: string }>(
      "select to_json(parameter_types::text[])::text as types from pg_prepared_statements where name = 'tombolo_filter'",
    );
    const types = JSON.parse(rows[0]?.types ?? "[]") as string[];
    const places = types.map((type, at) => `null::${type} as ${ident(`tombolo_${at}`)}`);
    const columns = table.columns.map(({ name }) => ident(name));
    await client.query(
      `create temporary table ${ident(table.local)} as select ${[...columns, ...places].join(", ")} from ${table.sql} with no data`,
    );
    const first = table.columns[0]?.name ?? "";
    const where = written((at) => ident(`tombolo_${at}`));
    await client.query(`create index on pg_temp.${ident(table.local)} ((${ident(first)} is null)) where ${where}`);
    return await checkValues(client, { params, types, filter });
  } catch (error) {
    return faultOf(error);
  } finally {
    // a prepared statement outlives its transaction
    await client.query(`rollback to savepoint filter; release savepoint filter${prepared ? "; deallocate tombolo_filter" : ""}`);
  }
}

async function checkValues(
  client: pg.ClientBase,
  { params, types, filter }: { readonly params: readonly string[]; readonly types: readonly string[]; readonly filter: FilterForm },
): Promise<FilterFault | null> {
  for (const [at, name] of params.entries()) {
    if (!Object.hasOwn(filter.params, name)) return fault("FILTER_PARAM", `has a parameter :${name} without a value`);
    try {
      await client.query(`select $1::${types[at]}`, [filter.params[name]]);
    } catch (error) {
      if (!isServerError(error)) throw error;
      return fault("FILTER_PARAM", `compares its parameter :${name} with a ${types[at]}, which the value given is not`);
    }
  }
  return null;
}

const NOT_PURE = new Set([state.INVALID_OBJECT_DEFINITION, state.FEATURE_NOT_SUPPORTED, state.GROUPING_ERROR, state.WINDOWING_ERROR]);

function faultOf(error: unknown): FilterFault {
  if (!isServerError(error) || !/^(42|22|0A)/.test(error.code)) throw postgresError(error);
  // these messages quote the text that was given
  if (error.code.startsWith(state.CLASS_DATA))
    return fault("FILTER_INVALID", "holds a value that is not of the type that it is compared with");
  const message = error.message.replace(/ at or near .*$/s, "");
  if (error.code === state.UNDEFINED_COLUMN)
    return fault("FILTER_COLUMN", `uses a column that is not there, or does not travel: ${message}`);
  if (NOT_PURE.has(error.code)) return fault("FILTER_NOT_PURE", `depends on more than the row: ${message}`);
  if (error.code === state.INSUFFICIENT_PRIVILEGE)
    return fault("FILTER_INVALID", `could not be checked, which takes the right to make temporary tables: ${message}`);
  return fault("FILTER_INVALID", `is no condition that Postgres takes: ${message}`);
}

/** A transaction that never becomes one. */
async function rolledBack<T>(pool: pg.Pool, work: (client: pg.ClientBase) => Promise<T>): Promise<T> {
  const client = await pool.connect().catch((error) => {
    throw postgresError(error);
  });
  let broken = false;
  try {
    await client.query("begin");
    return await work(client);
  } catch (error) {
    throw postgresError(error);
  } finally {
    await client.query("rollback").catch(() => {
      broken = true;
    });
    client.release(broken);
  }
}
