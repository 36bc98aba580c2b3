import type { NodeName, ScopeNumber, TableName } from "../change/names.ts";
import type { RowFilter } from "../change/row-filter.ts";

/** The rows of one table that a child is given, and may write. Never changed once it is chosen. */
export interface Scope {
  readonly number: ScopeNumber;
  readonly table: TableName;
  /** Null for every row. */
  readonly filter: RowFilter | null;
  /** The child is known to have been at it. */
  readonly reached: boolean;
}

/**
 * The scopes that a node has chosen for its children, kept in its own database. A child remembers no more than a number: which rows it means is
 * looked up here, so that no text of a child's ever becomes SQL.
 *
 * What a child writes must lie in every scope that is kept for it. That is one, or two while it goes over from the one that it is at to a new one.
 */
export interface Scopes {
  /** In order of their numbers. A table of which the child has not been given anything yet may have none. */
  of(child: NodeName): Promise<readonly Scope[]>;

  /**
   * Chooses a scope for a table of a child, unless it is the newest already; answers its number. Others that the child has never been at are
   * forgotten, but for `at`. Waits for packets of the child that are being applied: whatever it writes afterwards is held to the new scope. Throws
   * `FILTER_INVALID`, `FILTER_COLUMN`, `FILTER_NOT_PURE`, `FILTER_PARAM` (operator) for a filter that the database does not take, and
   * `FILTER_NOT_INSTALLED` (operator) while the table's updates are not logged as whole rows.
   */
  choose(
    child: NodeName,
    choice: { readonly table: TableName; readonly filter: RowFilter | null; readonly at: ScopeNumber | null },
  ): Promise<ScopeNumber>;

  /** The child is at this scope now: those before it are forgotten. */
  reached(child: NodeName, table: TableName, scope: ScopeNumber): Promise<void>;
}

/** Whether two filters choose alike, whatever the order of their parameters. */
export function sameFilter(a: RowFilter | null, b: RowFilter | null): boolean {
  if (a === null || b === null) return a === b;
  const names = Object.keys(a.params);
  return (
    a.text === b.text &&
    names.length === Object.keys(b.params).length &&
    names.every((name) => Object.hasOwn(b.params, name) && a.params[name] === b.params[name])
  );
}

/** As a scope is stored: `filter` is "" for every row. */
export const storedFilter = (filter: RowFilter | null): { filter: string; params: string } => ({
  filter: filter?.text ?? "",
  params: JSON.stringify(filter?.params ?? {}),
});

export const filterOf = (stored: { readonly filter: string; readonly params: string }): RowFilter | null =>
  stored.filter === "" ? null : { text: stored.filter, params: JSON.parse(stored.params) as RowFilter["params"] };
