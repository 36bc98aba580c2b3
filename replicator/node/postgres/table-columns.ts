import pg from "pg";
import { isPassing, TomboloError } from "../../change/error.ts";
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
const COLUMNS = `
  select a.attrelid as oid, a.attname as name, (a.attmissingval::text::text[])[1] as initial, a.atthasmissing or not a.atthasdef as told,
         coalesce(c.columns @> jsonb_build_array(jsonb_build_object('name', a.attname)), true) as captured
    from pg_attribute a left join tombolo.captured_table c on c.relation = a.attrelid
   where a.attrelid = any ($1::oid[]) and a.attnum > 0 and not a.attisdropped`;

interface ColumnRecord {
  readonly oid: string;
  readonly name: string;
  readonly initial: string | null;
  readonly told: string;
  readonly captured: string;
}

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
      const { rows } = await client.query<ColumnRecord>(COLUMNS, [`{${relations.map(({ oid }) => oid).join(",")}}`]);
      return wanted.map((table) => {
        const { schema, table: name } = placeOf(table);
        const relation = relations.find((candidate) => candidate.schema === schema && candidate.name === name);
        if (relation === undefined) return null;
        const own = new Map(rows.filter(({ oid }) => oid === relation.oid).map((row) => [row.name, row]));
        return relation.columns
          .filter((column) => !column.generated && !table.exclude.includes(column.name))
          .map(({ name: column, type, base, notNull }) => {
            // one that was dropped in between has none
            const record = own.get(column);
            return {
              ...{ name: column, type, base, notNull },
              engine: "postgres" as const,
              initial: record?.told === "t" ? record.initial : undefined,
              captured: record?.captured !== "f",
            };
          });
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
