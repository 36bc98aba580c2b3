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
  /** Behind serial and identity columns; `sequence` is quoted and qualified. */
  readonly sequences: readonly { readonly column: string; readonly sequence: string }[];
}

const SELECT = `
  select c.id, c.table_name, c.channel, c.local_schema, c.local_table, c.columns, to_json(c.key_columns)::text as key_columns, c.whole_images, c.fingerprint,
         (select json_agg(distinct p.table_name)
            from pg_constraint f join tombolo.captured_table p on p.relation = f.confrelid
           where f.conrelid = c.relation and f.contype = 'f') as refers_to,
         (select json_agg(json_build_object('column', a.attname, 'sequence', format('%I.%I', n.nspname, s.relname)))
            from pg_depend d
            join pg_class s on s.oid = d.objid and s.relkind = 'S'
            join pg_namespace n on n.oid = s.relnamespace
            join pg_sequence q on q.seqrelid = s.oid and q.seqincrement > 0
            join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
           where d.classid = 'pg_class'::regclass and d.refobjid = c.relation and d.deptype in ('a', 'i')) as sequences
    from tombolo.captured_table c
   order by c.id`;

interface CapturedRecord {
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
  sequences: string | null;
}

/** What was read is believed for this long: another process may have installed a new shape. */
const BELIEVED_MS = 2_000;

/** The captured tables of one database. A table that did not change stays the same object, so that what is prepared for it stays. */
export class CapturedTables {
  readonly #pool: pg.Pool;
  #byName = new Map<TableName, { readonly text: string; readonly table: CapturedTable }>();
  #readAt = Number.NEGATIVE_INFINITY;

  constructor(pool: pg.Pool) {
    this.#pool = pool;
  }

  async all(): Promise<ReadonlyMap<TableName, CapturedTable>> {
    if (Date.now() - this.#readAt > BELIEVED_MS) await this.#read();
    return new Map([...this.#byName].map(([name, { table }]) => [name, table]));
  }

  /** Throws `TABLE_NOT_CAPTURED` for the first that is missing. */
  async named(names: readonly TableName[]): Promise<CapturedTable[]> {
    if (Date.now() - this.#readAt > BELIEVED_MS || names.some((name) => !this.#byName.has(name))) await this.#read();
    return names.map((name) => {
      const known = this.#byName.get(name);
      if (known === undefined) {
        throw new TomboloError(`table ${name} is not captured in this database`, {
          code: "TABLE_NOT_CAPTURED",
          kind: "operator",
          hint: "run `tombolo plan`, then `tombolo apply`",
        });
      }
      return known.table;
    });
  }

  async #read(): Promise<void> {
    const { rows } = await this.#pool.query<CapturedRecord>(SELECT);
    this.#byName = new Map(
      rows.map((row) => {
        const name = tableName(row.table_name);
        const text = JSON.stringify(row);
        const known = this.#byName.get(name);
        return [name, known?.text === text ? known : { text, table: fromRecord(row) }];
      }),
    );
    this.#readAt = Date.now();
  }
}

function fromRecord(row: CapturedRecord): CapturedTable {
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
    sequences: JSON.parse(row.sequences ?? "[]") as CapturedTable["sequences"],
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
