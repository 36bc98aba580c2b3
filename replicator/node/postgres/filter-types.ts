import type pg from "pg";
import { columnsOf, filterCondition } from "../../change/filter-text.ts";
import type { RowFilter } from "../../change/row-filter.ts";
import { type FilteredTable, overRow } from "./row-filter.ts";

const NAME = "tombolo_filter_types";

/**
 * Of which types the parameters of a filter are, as they follow from where they stand: one for each occurrence. Postgres says so of a statement that it has prepared;
 * with it, the parameters of many may stand in columns of one statement.
 */
export class FilterTypes {
  readonly #pool: pg.Pool;
  readonly #known = new Map<string, Promise<readonly string[]>>();

  constructor(pool: pg.Pool) {
    this.#pool = pool;
  }

  /** Throws what Postgres says to a filter that is none. */
  of(table: FilteredTable, filter: RowFilter): Promise<readonly string[]> {
    const used = columnsOf(filter.text, "postgres", table.columns);
    const key = JSON.stringify([table.local, filter.text, used.map(({ name, type }) => [name, type])]);
    const known = this.#known.get(key) ?? this.#ask(table, filter);
    this.#known.set(key, known);
    known.catch(() => this.#known.delete(key));
    return known;
  }

  async #ask(table: FilteredTable, filter: RowFilter): Promise<readonly string[]> {
    const { sql } = filterCondition(filter, "postgres", (occurrence) => `$${occurrence + 1}`);
    const client = await this.#pool.connect();
    let left = false;
    try {
      await client.query(`prepare ${NAME} as select ${overRow(table, filter.text, { condition: () => sql, text: () => "null" })}`);
      left = true;
      const { rows } = await client.query<{ types: string }>(
        `select to_json(parameter_types::text[])::text as types from pg_prepared_statements where name = '${NAME}'`,
      );
      await client.query(`deallocate ${NAME}`);
      left = false;
      return JSON.parse(rows[0]?.types ?? "[]") as string[];
    } finally {
      client.release(left);
    }
  }
}
