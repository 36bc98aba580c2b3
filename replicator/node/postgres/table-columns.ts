import pg from "pg";
import { isPassing, TomboloError } from "../../change/error.ts";
import type { Column } from "../../change/shape.ts";
import { columnTypeFor } from "../../change/values/column-type.ts";
import { toPostgresText } from "../../change/values/to-postgres.ts";
import type { WantedTable } from "../installation.ts";
import type { PresentColumn, TableColumns } from "../table-columns.ts";
import { transaction } from "./connection.ts";
import { ident, qualified } from "./identifier.ts";
import { relationsNamed } from "./shape.ts";

/**
 * Postgres keeps the default that a column was added with for the rows that were there. A column with a default and without that was in the table from
 * its beginning, or was given a value for each row.
 */
const INITIAL = `
  select a.attrelid as oid, a.attname as name, (a.attmissingval::text::text[])[1] as initial, a.atthasmissing or not a.atthasdef as told
    from pg_attribute a where a.attrelid = any ($1::oid[]) and a.attnum > 0 and not a.attisdropped`;
const CAPTURED = "select relation::oid::text as oid, columns::text as columns from tombolo.captured_table where relation = any ($1::oid[])";

export class PostgresTableColumns implements TableColumns {
  readonly #pool: pg.Pool;
  readonly #node: string;

  constructor(options: { readonly pool: pg.Pool; readonly node: string }) {
    this.#pool = options.pool;
    this.#node = options.node;
  }

  of(wanted: readonly WantedTable[]): Promise<readonly (readonly PresentColumn[] | null)[]> {
    return transaction(this.#pool, async (client) => {
      const relations = await relationsNamed(client, wanted.map(placeOf));
      const oids = [`{${relations.map(({ oid }) => oid).join(",")}}`];
      const { rows } = await client.query<{ oid: string; name: string; initial: string | null; told: string }>(INITIAL, oids);
      const { rows: tables } = await client.query<{ oid: string; columns: string }>(CAPTURED, oids);
      return wanted.map((table) => {
        const { schema, table: name } = placeOf(table);
        const relation = relations.find((candidate) => candidate.schema === schema && candidate.name === name);
        if (relation === undefined) return null;
        const own = rows.filter(({ oid }) => oid === relation.oid);
        const initials = new Map(own.map(({ name: column, initial, told }) => [column, told === "t" ? initial : undefined]));
        const captured = capturedNames(tables.find(({ oid }) => oid === relation.oid)?.columns);
        return relation.columns
          .filter((column) => !column.generated && !table.exclude.includes(column.name))
          .map(({ name: column, type, base, notNull }) => ({
            ...{ name: column, type, base, notNull },
            engine: "postgres" as const,
            initial: initials.get(column),
            captured: captured?.has(column) ?? true,
          }));
      });
    });
  }

  async add(wanted: WantedTable, columns: readonly PresentColumn[]): Promise<void> {
    try {
      await transaction(this.#pool, async (client) => {
        const [relation] = await relationsNamed(client, [placeOf(wanted)]);
        if (relation === undefined) return;
        for (const column of columns) {
          if (relation.columns.some(({ name }) => name === column.name)) continue;
          await client.query(`alter table ${qualified(relation.schema, relation.name)} add column ${definition(column)}`);
        }
      });
    } catch (error) {
      if (!(error instanceof TomboloError) || isPassing(error)) throw error;
      throw new TomboloError(`${columns.map(({ name }) => name).join(", ")} could not be added to ${wanted.local} of ${this.#node}`, {
        code: "COLUMN_NOT_ADDED",
        kind: "operator",
        hint: `add it by hand, then run \`tombolo apply\`. ${error.message}`,
        cause: error,
      });
    }
  }
}

/** Undefined for a table that is not captured. */
const capturedNames = (columns: string | undefined): ReadonlySet<string> | undefined =>
  columns === undefined ? undefined : new Set((JSON.parse(columns) as Column[]).map(({ name }) => name));

function placeOf({ local }: WantedTable): { readonly schema: string; readonly table: string } {
  const dot = local.indexOf(".");
  return { schema: local.slice(0, dot), table: local.slice(dot + 1) };
}

function definition(column: PresentColumn): string {
  const type = columnTypeFor(column, column.engine, "postgres");
  const plain = `${ident(column.name)} ${type}`;
  const { initial } = column;
  if (initial === undefined || initial === null) return plain;
  const text = toPostgresText(initial, column, column.engine, { name: column.name, type, notNull: column.notNull });
  const added = `${plain} default ${pg.escapeLiteral(text ?? "")}::${type}`;
  return column.notNull ? `${added} not null` : added;
}
