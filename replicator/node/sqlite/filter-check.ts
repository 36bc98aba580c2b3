import Database from "better-sqlite3";
import { type FilterToken, filterText } from "../../change/filter-text.ts";
import type { TableName } from "../../change/names.ts";
import type { FilterForm, RowFilter } from "../../change/row-filter.ts";
import { type FilterFault, fault, filterError, filterFinding } from "../filter-fault.ts";
import type { Finding, WantedTable } from "../installation.ts";
import type { Connection } from "./connection.ts";
import { quote } from "./identifier.ts";
import { type FilteredTable, filteredTable, lookalike } from "./row-filter.ts";
import { readTable } from "./shape.ts";

/** What keeps the filters of a table from choosing rows here. */
export function filterFindings(connection: Connection, want: WantedTable): Finding[] {
  const local = readTable(connection, want.local, want.exclude);
  if (local === null || want.filters.length === 0) return [];
  const table = filteredTable(connection, { local: local.name, columns: local.columns });
  const found = want.filters.flatMap((filter) => check(table, filter) ?? []);
  const first = found.filter((one, at) => found.findIndex(({ message }) => message === one.message) === at);
  return first.map((one) => filterFinding(want.table, one));
}

/** Throws what `FilterFault` names, as an error. */
export function requireFilter(table: FilteredTable, filter: RowFilter, name: TableName): void {
  const found = check(table, filter);
  if (found !== null) throw filterError(name, found);
}

/**
 * Asks SQLite itself, in a database of its own: the filter becomes the condition of an index on a table with the same columns and a column in the place of
 * each parameter. There SQLite takes no subquery, no aggregate, and no function whose answer may change; of dates it says so once it
 * meets them, so that a row is put in.
 */
function check(table: FilteredTable, filter: FilterForm): FilterFault | null {
  const { tokens, problem } = filterText(filter.text, "sqlite");
  if (problem !== null) return fault("FILTER_INVALID", `is not one condition: ${problem}`);
  const dated = dependsOnNow(tokens);
  if (dated !== null) return fault("FILTER_NOT_PURE", `depends on more than the row: ${dated}`);
  const params = tokens.filter(({ kind }) => kind === "param").map(({ text }) => text);
  const missing = params.find((name) => !Object.hasOwn(filter.params, name));
  if (missing !== undefined) return fault("FILTER_PARAM", `has a parameter :${missing} without a value`);
  const names = params.map((_, at) => `tombolo_${at}`);
  let count = 0;
  const text = tokens.map((token) => (token.kind === "param" ? quote(names[count++] as string) : token.text)).join("");
  const database = new Database(":memory:");
  try {
    database.exec(lookalike(table, names));
    database.exec(`create index tombolo_filter on ${quote(table.local)} (tombolo_row) where ((${text}) is true)`);
    const columns = ["tombolo_row", ...names].map(quote);
    database
      .prepare(`insert into ${quote(table.local)} (${columns.join(", ")}) values (${columns.map(() => "?").join(", ")})`)
      .run(1, ...params.map((name) => filter.params[name]));
    return null;
  } catch (error) {
    if (!(error instanceof Database.SqliteError)) throw error;
    return faultOf(error.message);
  } finally {
    database.close();
  }
}

/** SQLite's messages name columns and functions, and quote what it cannot read. */
function faultOf(message: string): FilterFault {
  const shown = message.replace(/^near .*?: |^unrecognized token: .*$/s, "");
  if (message.startsWith("no such column")) return fault("FILTER_COLUMN", `uses a column that is not there, or does not travel: ${shown}`);
  if (/prohibited in partial index|^misuse of |^non-deterministic use/.test(message)) {
    return fault("FILTER_NOT_PURE", `depends on more than the row: ${shown}`);
  }
  return fault("FILTER_INVALID", `is no condition that SQLite takes${shown === "" ? "" : `: ${shown}`}`);
}

const DATES = new Set(["date", "time", "datetime", "julianday", "unixepoch", "strftime", "timediff"]);

/** What the index would say only for rows for which the function is called. */
function dependsOnNow(tokens: readonly FilterToken[]): string | null {
  const solid = tokens.filter(({ text }) => text.trim() !== "");
  for (const [at, { kind, text }] of solid.entries()) {
    if (kind === "string" && /^'(now|localtime|utc)'$/i.test(text)) return `${text} of a date or a time`;
    const called = kind === "word" && solid[at + 1]?.text === "(" && DATES.has(text.toLowerCase());
    if (called && solid[at + 2]?.text === ")") return `${text}() is the time of day`;
  }
  return null;
}
