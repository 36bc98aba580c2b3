import { TomboloError } from "../../change/error.ts";
import type { CapturedTable } from "./captured-tables.ts";
import type { Connection } from "./connection.ts";
import { readConstraints } from "./constraints.ts";
import { inTheWay } from "./in-the-way.ts";
import type { IncomingChange } from "./incoming.ts";
import { wordsOf } from "./index-terms.ts";
import { codeOf } from "./row-error.ts";

/** Why a change was refused: a code of docs/errors.md and a sentence that names rules and columns, never values. */
export interface Refusal {
  readonly code: string;
  readonly reason: string;
}

/** What was refused; null where it could not even be read. `tables` by local name in lower case. */
export interface About {
  readonly incoming: IncomingChange | null;
  readonly tables: ReadonlyMap<string, CapturedTable>;
}

export function describe(connection: Connection, error: unknown, { incoming, tables }: About): Refusal {
  const code = codeOf(error);
  const message = error instanceof Error ? error.message : "";
  if (error instanceof TomboloError || incoming === null) return { code, reason: message };
  const { local } = incoming.table.table;
  // what SQLite names stands behind the colon: columns, an index, a check or its text
  const named = message.includes(": ") ? message.slice(message.indexOf(": ") + 2) : "";
  switch (code) {
    case "UNIQUE_VIOLATION":
      return { code, reason: `unique key ${uniqueKey(connection, incoming, tables) ?? named} of ${local}: another row has the same value` };
    case "FOREIGN_KEY_VIOLATION":
      return { code, reason: foreignKeyReason(connection, incoming, tables) };
    case "CHECK_VIOLATION":
      return { code, reason: `check ${check(connection, local, named)} of ${local}: the check refuses the row` };
    case "NOT_NULL_VIOLATION":
      return { code, reason: `column (${columnsIn(named).join(", ")}) of ${local}: the column must not be NULL` };
    default:
      return { code, reason: message };
  }
}

/** `customer.email, customer.shop`, or `index 'name'` where a term is an expression. */
const columnsIn = (named: string): string[] => named.split(", ").map((column) => column.slice(column.indexOf(".") + 1));

/** SQLite tells the columns of the terms, and of a partial key not which one it is. */
function uniqueKey(connection: Connection, incoming: IncomingChange, tables: About["tables"]): string | null {
  const { key, table } = incoming;
  const [found] = inTheWay(connection, { table: table.table, key, row: incoming.new }, tables).filter(({ kind }) => kind === "taken");
  if (found === undefined) return null;
  const columns = `(${found.columns.join(", ")})`;
  return found.constraint.startsWith("sqlite_autoindex_") ? columns : `${found.constraint} ${columns}`;
}

export function foreignKeyReason(connection: Connection, incoming: IncomingChange, tables: About["tables"]): string {
  const { key, table } = incoming;
  const row = incoming.change.op === "D" ? null : incoming.new;
  const [found] = inTheWay(connection, { table: table.table, key, row }, tables).filter(({ kind }) => kind !== "taken");
  if (found === undefined) return `a foreign key of ${table.table.local} refuses it`;
  return `${found.constraint}: ${found.kind === "missing" ? "the row that it refers to is not there" : "rows still refer to it"}`;
}

/** A check is named by its name, or by its text. */
function check(connection: Connection, local: string, named: string): string {
  const rules = readConstraints(connection, local);
  const sql = connection.prepare("select sql from sqlite_schema where type = 'table' and name = ? collate nocase").pluck().get(local);
  const words = wordsOf(typeof sql === "string" ? sql : "");
  const at = words.findIndex(
    (word, place) => word === "constraint" && words[place + 1] === named.toLowerCase() && words[place + 2] === "check",
  );
  const inside = new Set(at < 0 ? wordsOf(named) : words.slice(at + 3, closing(words, at + 3)));
  const columns = (rules?.table.columns ?? []).filter(({ name }) => inside.has(name.toLowerCase())).map(({ name }) => name);
  return columns.length === 0 ? named : at < 0 ? `(${columns.join(", ")})` : `${named} (${columns.join(", ")})`;
}

/** Where the bracket that opens at `open` is closed. */
function closing(words: readonly string[], open: number): number {
  let depth = 0;
  for (let at = open; at < words.length; at++) {
    if (words[at] === "(") depth += 1;
    if (words[at] === ")") depth -= 1;
    if (depth === 0) return at;
  }
  return words.length;
}
