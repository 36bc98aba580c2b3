import type pg from "pg";
import { TomboloError } from "../../change/error.ts";
import { type ChannelName, channelName, type TableName, tableName } from "../../change/names.ts";
import type { Column, TableShape } from "../../change/shape.ts";
import { qualified } from "./identifier.ts";

/** A captured table as this database has it. */
export interface CapturedTable {
  readonly id: number;
  readonly name: TableName;
  readonly channel: ChannelName;
  /** Quoted and qualified, ready for a statement. */
  readonly sql: string;
  readonly columns: readonly Column[];
  readonly key: readonly string[];
  /** Updates are logged with the whole row, before and after. */
  readonly wholeImages: boolean;
  readonly shape: TableShape;
  /** Tables (by name) that this one refers to by foreign key; itself left out. */
  readonly references: readonly TableName[];
  readonly selfReferencing: boolean;
}

const SELECT = `
  select c.id, c.table_name, c.channel, c.local_schema, c.local_table, c.columns, to_json(c.key_columns)::text as key_columns, c.whole_images, c.fingerprint,
         (select json_agg(distinct p.table_name)
            from pg_constraint f join tombolo.captured_table p on p.relation = f.confrelid
           where f.conrelid = c.relation and f.contype = 'f') as refers_to
    from tombolo.captured_table c
   order by c.id`;

interface Record {
  id: string;
  table_name: string;
  channel: string;
  local_schema: string;
  local_table: string;
  columns: string;
  key_columns: string;
  whole_images: string;
  fingerprint: string;
  refers_to: string | null;
}

/** The captured tables of one database, read once and again when someone asks for a table that is not among them. */
export class CapturedTables {
  readonly #pool: pg.Pool;
  #byName: Map<TableName, CapturedTable> | undefined;

  constructor(pool: pg.Pool) {
    this.#pool = pool;
  }

  /** Forgets what was read; the next call reads again. */
  reset(): void {
    this.#byName = undefined;
  }

  async all(): Promise<ReadonlyMap<TableName, CapturedTable>> {
    this.#byName ??= await this.#load();
    return this.#byName;
  }

  /** Throws `TABLE_NOT_CAPTURED` for the first that is missing. */
  async named(names: readonly TableName[]): Promise<CapturedTable[]> {
    let known = await this.all();
    if (names.some((name) => !known.has(name))) {
      this.reset();
      known = await this.all();
    }
    return names.map((name) => {
      const table = known.get(name);
      if (table === undefined) {
        throw new TomboloError(`table ${name} is not captured in this database`, {
          code: "TABLE_NOT_CAPTURED",
          kind: "operator",
          hint: "run `tombolo plan`, then `tombolo apply`",
        });
      }
      return table;
    });
  }

  async #load(): Promise<Map<TableName, CapturedTable>> {
    const { rows } = await this.#pool.query<Record>(SELECT);
    return new Map(rows.map((row) => [tableName(row.table_name), fromRecord(row)]));
  }
}

function fromRecord(row: Record): CapturedTable {
  const name = tableName(row.table_name);
  const channel = channelName(row.channel);
  const columns = JSON.parse(row.columns) as Column[];
  const key = JSON.parse(row.key_columns) as string[];
  const refersTo = (JSON.parse(row.refers_to ?? "[]") as string[]).map(tableName);
  return {
    id: Number(row.id),
    name,
    channel,
    sql: qualified(row.local_schema, row.local_table),
    columns,
    key,
    wholeImages: row.whole_images === "t",
    shape: { table: name, channel, engine: "postgres", columns, key, hash: row.fingerprint },
    references: refersTo.filter((other) => other !== name),
    selfReferencing: refersTo.includes(name),
  };
}

/** Referenced tables before those that refer to them; tables in a cycle in the order given. */
export function inReferenceOrder<T extends { readonly name: TableName; readonly references: readonly TableName[] }>(
  tables: readonly T[],
): T[] {
  const byName = new Map(tables.map((table) => [table.name, table]));
  const ordered: T[] = [];
  const seen = new Set<TableName>();
  const visit = (table: T): void => {
    if (seen.has(table.name)) return;
    seen.add(table.name);
    for (const name of table.references) {
      const referenced = byName.get(name);
      if (referenced !== undefined) visit(referenced);
    }
    ordered.push(table);
  };
  for (const table of tables) visit(table);
  return ordered;
}
