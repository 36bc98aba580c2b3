import type { Statement } from "better-sqlite3";
import type { ApplyContext } from "../target.ts";
import type { Connection } from "./connection.ts";
import { quote } from "./identifier.ts";
import type { ColumnSet, IncomingChange, IncomingTable } from "./incoming.ts";
import { withoutReferrers } from "./referrers.ts";
import { type Bindable, keyCondition, prepared } from "./rows.ts";

type Run = (incoming: IncomingChange) => boolean;

/**
 * Statements that apply a change if, and only if, the row is what the change was based on: one statement per table, operation and
 * set of columns. `or abort` overrides a conflict clause in the table's own declaration, which might delete other rows.
 */
export class FastPath {
  readonly #connection: Connection;
  readonly #context: ApplyContext;
  readonly #inserts = new WeakMap<ColumnSet, Run>();
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
