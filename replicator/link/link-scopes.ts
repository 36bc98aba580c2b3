import type { NodeName, ScopeNumber, TableName } from "../change/names.ts";
import type { RowFilter } from "../change/row-filter.ts";
import type { Node } from "../node/node.ts";
import { type Scope, sameFilter } from "../node/scopes.ts";
import type { FillScope } from "../node/table-reader.ts";
import type { PeerState } from "../node/target.ts";

/** A table of a link, and how its rows travel. */
export interface ScopedTable {
  readonly name: TableName;
  /** What the topology says now; null for every row. */
  readonly wanted: RowFilter | null;
  /** It travels down, so that the child is filled by its scope. */
  readonly down: boolean;
}

/** A scope that a table of the child goes over to. */
export interface ScopeStep {
  readonly table: TableName;
  readonly fill: FillScope;
}

/** Where the child is: `had` as in `FillScope`. */
interface Place {
  readonly number: ScopeNumber | null;
  readonly had: RowFilter | null | "unknown";
}

/**
 * Which rows of each table a link's child is given. The topology says what it should be; the child knows the number of the scope that it was last
 * filled by; what the number means is looked up at the parent. Where the two differ, the table is to be filled over.
 *
 * What the child says is believed only where it is a scope that the parent keeps for this child. For anything else (a parent that was restored, a
 * child that was tampered with, a table that was filled before there were scopes) the table is filled anew, and only what the topology wants is told.
 */
export class LinkScopes {
  readonly #parent: Node;
  readonly #child: NodeName;
  readonly #tables: readonly ScopedTable[];
  #kept: readonly Scope[] = [];
  /** Tables of the child that were filled, by where they are. */
  #places = new Map<TableName, Place>();
  #prepared: Said | undefined;
  /** The parent's scopes were changed from here since they were looked at. */
  #written = false;

  constructor(options: { readonly parent: Node; readonly child: NodeName; readonly tables: readonly ScopedTable[] }) {
    this.#parent = options.parent;
    this.#child = options.child;
    this.#tables = options.tables;
  }

  /** The child has the rows that the topology wants it to have: one that says the same again need not be looked up again. */
  get isSettled(): boolean {
    const down = this.#tables.filter((table) => table.down).map(({ name }) => name);
    return this.#prepared !== undefined && down.every((name) => this.#places.has(name)) && this.due(down).length === 0;
  }

  /** Forgets what it remembers: after an error, and when another process may have moved the link. */
  reset(): void {
    this.#prepared = undefined;
  }

  /**
   * Before anything moves. `state` is the child's, of its parent; where that is only expected of it, `confirmed` is what it has said. A table that the child does not have yet gets its scope at once, so that what the child
   * already holds of it is judged by that. Throws what `Scopes.choose` throws.
   */
  async prepare(state: Said, confirmed: Said = state): Promise<void> {
    if (this.#prepared !== undefined && saysTheSame(this.#prepared, state)) return;
    await this.#look();
    const filled = this.#tables.filter(({ name, down }) => down && state.tables.has(name));
    for (const table of this.#tables) {
      const limited = table.wanted !== null || this.#kept.some((scope) => scope.table === table.name);
      if (limited && !filled.includes(table)) await this.#choose(table, null);
    }
    for (const { name } of filled) await this.#arrive(name, confirmed.scopes.get(name) ?? null);
    if (this.#written) await this.#look();
    this.#places = new Map(filled.map((table) => [table.name, this.#placeOf(table, state.scopes.get(table.name) ?? null)]));
    this.#prepared = state;
  }

  /** What the child is given of the tables that it has, by where it is now; where nobody knows that, only what the topology wants it to have. */
  current(): ReadonlyMap<TableName, RowFilter> {
    const filters = new Map<TableName, RowFilter>();
    for (const { name, wanted } of this.#tables) {
      const had = this.#places.get(name)?.had;
      const rows = had === undefined || had === "unknown" ? wanted : had;
      if (rows !== null) filters.set(name, rows);
    }
    return filters;
  }

  /** How tables that the child does not have yet are filled. */
  first(tables: readonly TableName[]): ReadonlyMap<TableName, FillScope> {
    const wanted = this.#tables.filter(({ name, wanted: rows }) => rows !== null && tables.includes(name));
    return new Map(wanted.map(({ name, wanted: rows }) => [name, { rows }]));
  }

  /** Tables whose rows at the child are not those that the topology wants. */
  due(tables: readonly TableName[]): readonly ScopeStep[] {
    return this.#tables.flatMap(({ name, wanted }) => {
      const place = this.#places.get(name);
      if (place === undefined || !tables.includes(name)) return [];
      const newest = this.#kept.filter(({ table }) => table === name).at(-1)?.number ?? null;
      if (place.had !== "unknown" && sameFilter(place.had, wanted) && place.number === newest) return [];
      return [{ table: name, fill: { rows: wanted, had: place.had } }];
    });
  }

  /** The scopes that a fill of these tables leaves the child at. What the child writes is held to them from now on. */
  async numbers(tables: readonly TableName[]): Promise<ReadonlyMap<TableName, ScopeNumber>> {
    const numbers = new Map<TableName, ScopeNumber>();
    for (const table of this.#tables.filter(({ name }) => tables.includes(name))) {
      numbers.set(table.name, await this.#choose(table, this.#places.get(table.name)?.number ?? null));
    }
    return numbers;
  }

  /** The child is at these; or will be, once it has `confirmed` it: until then it is held to where it was as well. */
  async arrived(numbers: ReadonlyMap<TableName, ScopeNumber>, confirmed: boolean): Promise<void> {
    if (confirmed) for (const [table, number] of numbers) await this.#parent.scopes.reached(this.#child, table, number);
    this.reset();
  }

  async #look(): Promise<void> {
    this.#written = false;
    this.#kept = await this.#parent.scopes.of(this.#child);
  }

  async #choose({ name: table, wanted: filter }: ScopedTable, at: ScopeNumber | null): Promise<ScopeNumber> {
    const newest = this.#kept.filter((scope) => scope.table === table).at(-1);
    if (newest !== undefined && sameFilter(newest.filter, filter)) return newest.number;
    this.#written = true;
    return this.#parent.scopes.choose(this.#child, { table, filter, at });
  }

  /** A crash may have come between the packet that took the child there and the parent's own note of it. */
  async #arrive(table: TableName, number: ScopeNumber | null): Promise<void> {
    const scope = this.#kept.find((kept) => kept.table === table && kept.number === number);
    if (scope === undefined || scope.reached) return;
    this.#written = true;
    await this.#parent.scopes.reached(this.#child, table, scope.number);
  }

  #placeOf({ name, wanted }: ScopedTable, number: ScopeNumber | null): Place {
    const kept = this.#kept.filter(({ table }) => table === name);
    const scope = kept.find((candidate) => candidate.number === number);
    if (scope !== undefined) return { number, had: scope.filter };
    const neverAnother = number === null && wanted === null && kept.length === 0;
    return { number: null, had: neverAnother ? null : "unknown" };
  }
}

type Said = Pick<PeerState, "scopes" | "tables">;

const saysTheSame = (a: Said, b: Said): boolean =>
  a.scopes.size === b.scopes.size &&
  [...a.scopes].every(([table, number]) => b.scopes.get(table) === number) &&
  a.tables.size === b.tables.size &&
  [...a.tables].every((table) => b.tables.has(table));
