import type { RowFilter } from "../../change/row-filter.ts";
import type { Row } from "../../change/value.ts";
import type { Clash, Judge, Verdict } from "../../change/verdict.ts";
import { outOfScope } from "../out-of-scope.ts";
import type { PeerRole } from "../target.ts";
import { type CapturedTable, capturedTables } from "./captured-tables.ts";
import type { Connection } from "./connection.ts";
import type { ColumnSet, IncomingChange, LocalRow } from "./incoming.ts";
import { filteredTable, type Held, type RowTest, rowTest } from "./row-filter.ts";
import { stored } from "./rows.ts";
import { scopesOf } from "./scopes.ts";

/** The rows that the peer, a child, may write: those that it is given (see `Scopes`). A parent's packets are obeyed, whatever they bring. */
export class RowScope {
  readonly #tests: ReadonlyMap<string, readonly RowTest[]>;
  /** Where a set of columns has those that a test looks at, in the test's order; null where it lacks one. */
  readonly #places = new Map<RowTest, WeakMap<ColumnSet, readonly number[] | null>>();

  constructor(options: {
    readonly connection: Connection;
    readonly peerId: number;
    readonly from: PeerRole;
  }) {
    const { connection } = options;
    const filters = new Map<string, RowFilter[]>();
    for (const { table, filter } of options.from === "child" ? scopesOf(connection, options.peerId) : []) {
      if (filter !== null) filters.set(table, [...(filters.get(table) ?? []), filter]);
    }
    const tables: ReadonlyMap<string, CapturedTable> = filters.size === 0 ? new Map() : capturedTables(connection);
    this.#tests = new Map(
      [...filters].flatMap(([name, own]) => {
        const table = tables.get(name);
        return table === undefined ? [] : [[name, own.map((filter) => rowTest(filteredTable(connection, table), filter))] as const];
      }),
    );
  }

  /**
   * Whether the images of a change show that the row is the child's, before and after: then it may be applied to a row that is what it was based on.
   * Where they do not, the row must be looked at.
   */
  plainlyHas({ change: { op }, old, new: now, table: { table } }: IncomingChange): boolean {
    const tests = this.#tests.get(table.name);
    if (tests === undefined) return true;
    const shows = (row: LocalRow | null): boolean =>
      row !== null &&
      tests.every((test) => {
        const held = this.#inOrder(test, row);
        return held !== null && test.has(held);
      });
    return (op === "I" || shows(old)) && (op === "D" || shows(now));
  }

  /** What the child can have known of a row: null where it was not the child's. */
  known(table: CapturedTable, row: Row | null): Row | null {
    return row !== null && this.#admits(table, row) ? row : null;
  }

  /** Judges, where the parent's row and what would become of it are the child's; refuses the change otherwise. */
  judge(table: CapturedTable, clash: Clash, judge: Judge): Verdict {
    const { parent } = clash;
    if (parent !== null && !this.#admits(table, parent)) return outOfScope(clash);
    const checked = (verdict: Verdict): Verdict => {
      const { result, ifRefused } = verdict;
      if (result !== null && !this.#admits(table, { ...parent, ...result })) return outOfScope(clash);
      return ifRefused === undefined ? verdict : { ...verdict, ifRefused: { ...ifRefused, verdict: checked(ifRefused.verdict) } };
    };
    return checked(judge(clash));
  }

  #admits(table: CapturedTable, row: Row): boolean {
    const tests = this.#tests.get(table.name);
    if (tests === undefined) return true;
    return tests.every((test) => test.has(test.columns.map((name) => stored(row[name] ?? null))));
  }

  #inOrder(test: RowTest, { set, values }: LocalRow): readonly Held[] | null {
    const known = this.#places.get(test) ?? new WeakMap<ColumnSet, readonly number[] | null>();
    this.#places.set(test, known);
    let places = known.get(set);
    if (places === undefined) {
      const found = test.columns.map((name) => set.names.indexOf(name));
      places = found.includes(-1) ? null : found;
      known.set(set, places);
    }
    return places === null ? null : places.map((place) => values[place] ?? null);
  }
}
