import type pg from "pg";
import { type NodeName, nodeName, type Position, type TableName, tableName } from "../../change/names.ts";
import type { RowFilter } from "../../change/row-filter.ts";
import type { CapturedTables } from "./captured-tables.ts";
import { FilterTypes } from "./filter-types.ts";
import { filtersConcerned } from "./filters-concerned.ts";
import type { RecentTicks } from "./recent-ticks.ts";
import { windowBetween } from "./snapshot-text.ts";

/** Where more was logged, everybody is told. */
const MOST_CHANGES = 2_000;
/** Of changes, times filters that look at them; beyond, everybody is told. */
const MOST_LOOKS = 50_000;
/** Longer than anybody waits; what a waiter has not read is not purged. */
const KNOWN_MS = 120_000;

/** The changes between two ticks; $1 to $4 are `TouchedWindow.values`. */
const BETWEEN = "((xid >= $1::xid8 and xid < $2::xid8) or xid = any ($3::xid8[])) and pg_visible_in_snapshot(xid, $4::pg_snapshot)";

const TOUCHED = `
  select (select table_name from tombolo.captured_table t where t.id = c.table_id) as table_name,
         (select name from tombolo.peer p where p.id = c.target) as reader, sum(c.changes) as changes
    from (select table_id, target, 1 as changes from tombolo.change where ${BETWEEN} limit ${MOST_CHANGES + 1}) as c
   group by c.table_id, c.target`;

/** What was logged between two ticks. */
export interface Touched {
  readonly tables: ReadonlySet<TableName>;
  /** Who has a refresh of its own. */
  readonly readers: ReadonlySet<NodeName>;
  /** Which of the filters, all of this table and of the same text, a change concerns; null where that is not known. */
  concerned(table: TableName, filters: readonly RowFilter[]): Promise<ReadonlySet<RowFilter> | null>;
}

/** Looks into the log on behalf of all who wait for its news. */
export class TouchedRows {
  readonly #pool: pg.Pool;
  readonly #recent: RecentTicks;
  readonly #tables: CapturedTables;
  readonly #hstore: string;
  readonly #types: FilterTypes;

  constructor(options: { readonly pool: pg.Pool; readonly recent: RecentTicks; readonly tables: CapturedTables; readonly hstore: string }) {
    this.#pool = options.pool;
    this.#recent = options.recent;
    this.#tables = options.tables;
    this.#hstore = options.hstore;
    this.#types = new FilterTypes(options.pool);
  }

  /** Between two ticks that were made here a moment ago; null where that is not known, or too much to tell. */
  async between(from: Position, upTo: Position): Promise<Touched | null> {
    const [after, last] = [this.#recent.get(from, KNOWN_MS), this.#recent.get(upTo)];
    if (after === undefined || last === undefined) return null;
    const window = windowBetween(after.snapshot, last.snapshot);
    const values = [window.from.toString(), window.to.toString(), `{${window.finished.join(",")}}`, last.text];
    const { rows } = await this.#pool.query<{ table_name: string | null; reader: string | null; changes: string }>({
      name: "tombolo_touched",
      text: TOUCHED,
      values,
    });
    const tables = new Map<TableName, number>();
    const readers = new Set<NodeName>();
    for (const row of rows) {
      if (row.reader !== null) readers.add(nodeName(row.reader));
      else if (row.table_name !== null) tables.set(tableName(row.table_name), Number(row.changes));
    }
    if (rows.reduce((sum, row) => sum + Number(row.changes), 0) > MOST_CHANGES) return null;
    return {
      tables: new Set(tables.keys()),
      readers,
      concerned: async (name, filters) => {
        if ((tables.get(name) ?? 0) * filters.length > MOST_LOOKS) return null;
        return this.#concerned(name, filters, values);
      },
    };
  }

  async #concerned(name: TableName, filters: readonly RowFilter[], values: readonly unknown[]): Promise<ReadonlySet<RowFilter> | null> {
    try {
      const [table] = await this.#tables.named([name]);
      if (table === undefined) return null;
      const types = await this.#types.of(table, filters[0] as RowFilter);
      return await filtersConcerned(this.#pool, { table, filters, types, hstore: this.#hstore, between: { sql: BETWEEN, values } });
    } catch {
      // a row on which it fails, a table that is gone: whoever reads meets it, and says so
      return null;
    }
  }
}
