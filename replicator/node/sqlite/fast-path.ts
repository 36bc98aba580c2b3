import type { Statement } from "better-sqlite3";
import type { ApplyContext } from "../target.ts";
import type { Connection } from "./connection.ts";
import { quote } from "./identifier.ts";
import type { ColumnSet, IncomingChange, IncomingTable, LocalRow } from "./incoming.ts";
import { withoutReferrers } from "./referrers.ts";
import { isRowError } from "./row-error.ts";
import { type Bindable, keyCondition, prepared } from "./rows.ts";

/** Rows that one statement inserts; values, at most. */
const ROWS_AT_ONCE = 32;
const VALUES_AT_ONCE = 1000;

/** How many rows of these columns `insertAll` takes; 1 where they are too wide for more than one. */
export const rowsAtOnce = (set: ColumnSet): number => Math.max(1, Math.min(ROWS_AT_ONCE, Math.floor(VALUES_AT_ONCE / set.names.length)));

type Run = (incoming: IncomingChange) => boolean;

/**
 * Statements that apply a change if, and only if, the row is what the change was based on: one statement per table, operation and
 * set of columns. `or abort` overrides a conflict clause in the table's own declaration, which might delete other rows.
 */
export class FastPath {
  readonly #connection: Connection;
  readonly #context: ApplyContext;
  readonly #inserts = new WeakMap<ColumnSet, Run>();
  readonly #several = new WeakMap<ColumnSet, Statement>();
  readonly #updates = new WeakMap<ColumnSet, Run>();
  readonly #deletes = new WeakMap<ColumnSet, Run>();

  constructor(connection: Connection, context: ApplyContext) {
    this.#connection = connection;
    this.#context = context;
  }

  /** True when it was applied; false when the row is not as expected. Throws what SQLite throws when it refuses. */
  apply(incoming: IncomingChange): boolean {
    const { table, old, new: row, change } = incoming;
    if (change.op === "I" && row !== null) return this.#run(this.#inserts, row.set, () => this.#insert(table, row.set))(incoming);
    if (change.op === "U" && row !== null && old !== null && old.set === row.set) {
      return this.#run(this.#updates, row.set, () => this.#update(table, row.set))(incoming);
    }
    if (change.op === "D" && old !== null) return this.#run(this.#deletes, old.set, () => this.#delete(table, old.set))(incoming);
    return false;
  }

  /**
   * Inserts rows of one table and set of columns by one statement: true when all of them went in, false when nothing was done, because one of them is there
   * already or was refused. A call of SQLite costs as much as a row.
   */
  insertAll(changes: readonly IncomingChange[]): boolean {
    const { table, new: row } = changes[0] as IncomingChange;
    const { set } = row as LocalRow;
    let statement = this.#several.get(set);
    if (statement === undefined) {
      const values = `(${set.names.map(() => "?").join(", ")})`;
      const sql = `insert or abort into ${quote(table.table.local)} (${set.names.map(quote).join(", ")}) values `;
      statement = prepared(this.#connection, sql + changes.map(() => values).join(", "));
      this.#several.set(set, statement);
    }
    const bound: Bindable[] = [];
    for (const incoming of changes) for (const value of (incoming.new as LocalRow).values) bound.push(value);
    try {
      statement.run(bound);
      return true;
    } catch (error) {
      if (!isRowError(error)) throw error;
      return false;
    }
  }

  #run(cache: WeakMap<ColumnSet, Run>, set: ColumnSet, make: () => Run): Run {
    let run = cache.get(set);
    if (run === undefined) {
      run = make();
      cache.set(set, run);
    }
    return run;
  }

  #insert({ table }: IncomingTable, set: ColumnSet): Run {
    const columns = set.names.map(quote).join(", ");
    const values = set.names.map(() => "?").join(", ");
    const key = table.key.map(quote).join(", ");
    const statement = prepared(
      this.#connection,
      `insert or abort into ${quote(table.local)} (${columns}) values (${values}) on conflict (${key}) do nothing`,
    );
    return ({ new: row }) => changed(statement, (row as { values: readonly Bindable[] }).values);
  }

  #update({ table }: IncomingTable, set: ColumnSet): Run {
    const assignments = set.names.map((name) => `${quote(name)} = ?`).join(", ");
    const statement = prepared(
      this.#connection,
      `update or abort ${quote(table.local)} set ${assignments} where ${keyCondition(table)} and ${isOld(set)}`,
    );
    return ({ new: row, old, key }) => changed(statement, [...(row?.values ?? []), ...key, ...oldParameters(set, old?.values ?? [])]);
  }

  #delete({ table }: IncomingTable, set: ColumnSet): Run {
    const free = withoutReferrers(this.#connection, table, this.#context);
    const statement = prepared(
      this.#connection,
      `delete from ${quote(table.local)} where ${keyCondition(table)} and ${isOld(set)}${free === null ? "" : ` and ${free}`}`,
    );
    return ({ old, key }) => changed(statement, [...key, ...oldParameters(set, old?.values ?? [])]);
  }
}

const changed = (statement: Statement, values: readonly Bindable[]): boolean => statement.run(values).changes > 0;

/** 1 and 1.0 are equal, but not the same; only a column without affinity can hold both. */
export const isOld = (set: ColumnSet): string =>
  balancedAnd(
    set.names.map((name, at) => `${quote(name)} is ? collate binary${set.kinds[at] === "none" ? ` and typeof(${quote(name)}) = ?` : ""}`),
  );

const balancedAnd = (terms: readonly string[]): string => {
  if (terms.length <= 1) return `(${terms[0] ?? "1"})`;
  const middle = terms.length >> 1;
  return `(${balancedAnd(terms.slice(0, middle))} and ${balancedAnd(terms.slice(middle))})`;
};

export function oldParameters(set: ColumnSet, values: readonly Bindable[]): readonly Bindable[] {
  if (!set.kinds.includes("none")) return values;
  return values.flatMap((value, at) => (set.kinds[at] === "none" ? [value, storageClass(value)] : [value]));
}

function storageClass(value: Bindable): string {
  if (value === null) return "null";
  if (typeof value === "string") return "text";
  if (typeof value === "bigint") return "integer";
  return typeof value === "number" ? "real" : "blob";
}
