import type pg from "pg";
import { TomboloError } from "../../change/error.ts";
import { type ChannelName, channelName, type TableName, tableName } from "../../change/names.ts";
import type { Column, Reference, TableShape } from "../../change/shape.ts";
import { COUNTABLE, type ColumnSequence, columnSequences } from "./column-sequences.ts";
import { hasStrides } from "./id-strides.ts";
import { qualified } from "./identifier.ts";
import { COLUMN_MARKS, type Relation, relationsOf, shapeWithNew } from "./shape.ts";

/** A captured table as this database has it. */
export interface CapturedTable {
  readonly id: number;
  readonly name: TableName;
  readonly channel: ChannelName;
  /** Quoted and qualified, ready for a statement. */
  readonly sql: string;
  /** Its name alone. */
  readonly local: string;
  readonly columns: readonly Column[];
  /** Column name to its collation, quoted and qualified, where that is not its type's own. */
  readonly collations: { readonly [column: string]: string };
  readonly key: readonly string[];
  /** Columns that stay at home, as the topology names them. */
  readonly excluded: readonly string[];
  /** Updates are logged with the whole row, before and after. */
  readonly wholeImages: boolean;
  readonly shape: TableShape;
  /** Tables (by name) that this one refers to by foreign key; itself left out. */
  readonly references: readonly TableName[];
  /** That count upward, and that this role may move. */
  readonly sequences: readonly ColumnSequence[];
}

/** SQL for the names of a relation's columns, in the order of an array of their numbers. */
export const columnNames = (relation: string, numbers: string): string =>
  `(select json_agg(a.attname order by k.n) from unnest(${numbers}) with ordinality as k(number, n)
     join pg_attribute a on a.attrelid = ${relation} and a.attnum = k.number)`;

const GOALS = "select sequence, json_build_object('stride', stride::text, 'slot', slot::text) as goal from tombolo.strided_sequence";
const NO_GOALS = "select 0::oid as sequence, null::json as goal where false";

const select = (goals: string): string => `
  select c.id, c.table_name, c.channel, c.local_schema, c.local_table, c.columns, to_json(c.key_columns)::text as key_columns, to_jsonb(c) ->> 'excluded' as excluded,
         c.whole_images, c.fingerprint, c.relation::text as relation,
         (select ${COLUMN_MARKS} from pg_attribute a where a.attrelid = c.relation and a.attnum > 0) is distinct from to_jsonb(c) -> 'storage' ->> 'columnMarks' as altered,
         (select json_agg(json_build_object('table', p.table_name, 'columns', ${columnNames("f.conrelid", "f.conkey")},
                                           'to', ${columnNames("f.confrelid", "f.confkey")}) order by f.conname)
            from pg_constraint f join tombolo.captured_table p on p.relation = f.confrelid
           where f.conrelid = c.relation and f.contype = 'f' and f.conparentid = 0) as refers_to,
         (select json_agg(json_build_object('column', b.attname, 'sequence', format('%I.%I', n.nspname, s.relname), 'ids', ids.goal) order by s.oid)
            from (${columnSequences("c.relation")}) as b
            join pg_class s on s.oid = b.sequence
            join pg_namespace n on n.oid = s.relnamespace
            join pg_sequence q on q.seqrelid = s.oid and q.seqincrement > 0
            left join (${goals}) as ids on ids.sequence = s.oid
           where has_sequence_privilege(s.oid, 'SELECT') and has_sequence_privilege(s.oid, 'UPDATE')) as sequences,
         (select json_object_agg(a.attname, format('%I.%I', n.nspname, l.collname))
            from pg_attribute a
            join pg_type y on y.oid = a.atttypid
            join pg_collation l on l.oid = a.attcollation
            join pg_namespace n on n.oid = l.collnamespace
           where a.attrelid = c.relation and a.attnum > 0 and not a.attisdropped and a.attcollation <> y.typcollation) as collations
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
  /** JSON; null in a database of an older version. */
  excluded: string | null;
  whole_images: string;
  fingerprint: string;
  relation: string;
  /** Its columns are not those of its last installation, as far as their marks tell: `t` or `f`. */
  altered: string;
  refers_to: string | null;
  sequences: string | null;
  collations: string | null;
}

/** What was read is believed for this long: another process may have installed a new shape. */
const BELIEVED_MS = 2_000;

/** The captured tables of one database. A table that did not change stays the same object, so that what is prepared for it stays. */
export class CapturedTables {
  readonly #pool: pg.Pool;
  #byName = new Map<TableName, { readonly text: string; readonly table: CapturedTable }>();
  #readAt = Number.NEGATIVE_INFINITY;
  #reading: Promise<void> | undefined;
  /** The database is of a version that knows strides of ids. */
  #strides = false;

  constructor(pool: pg.Pool) {
    this.#pool = pool;
  }

  /** What was read is not believed any longer. */
  forget(): void {
    this.#readAt = Number.NEGATIVE_INFINITY;
    this.#reading = undefined;
  }

  async all(): Promise<ReadonlyMap<TableName, CapturedTable>> {
    await this.#believed();
    return new Map([...this.#byName].map(([name, { table }]) => [name, table]));
  }

  /** Throws `TABLE_NOT_CAPTURED` for the first that is missing. */
  async named(names: readonly TableName[]): Promise<CapturedTable[]> {
    await this.#believed();
    if (names.some((name) => !this.#byName.has(name))) {
      this.forget();
      await this.#believed();
    }
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

  /** Of a thousand edges that come back at once, one reads. */
  async #believed(): Promise<void> {
    if (performance.now() - this.#readAt <= BELIEVED_MS) return;
    const reading = this.#reading ?? this.#read();
    this.#reading = reading;
    try {
      await reading;
      if (this.#reading === reading) this.#readAt = performance.now();
    } finally {
      if (this.#reading === reading) this.#reading = undefined;
    }
  }

  async #read(): Promise<void> {
    this.#strides ||= await hasStrides(this.#pool);
    const { rows } = await this.#pool.query<CapturedRecord>(select(this.#strides ? GOALS : NO_GOALS));
    const altered = rows.filter((row) => row.altered === "t").map(({ relation }) => relation);
    const relations = altered.length === 0 ? [] : await relationsOf(this.#pool, altered);
    this.#byName = new Map(
      rows.map((row) => {
        const name = tableName(row.table_name);
        const now = relations.find(({ oid }) => oid === row.relation);
        const text = JSON.stringify([row, now?.columns]);
        const known = this.#byName.get(name);
        return [name, known?.text === text ? known : { text, table: fromRecord(row, now) }];
      }),
    );
  }
}

/** `now`: how the table is, where that may be otherwise than it was installed. Capture logs a column that was added from its first row on. */
function fromRecord(row: CapturedRecord, now: Relation | undefined): CapturedTable {
  const name = tableName(row.table_name);
  const channel = channelName(row.channel);
  const key = JSON.parse(row.key_columns) as string[];
  const excluded = JSON.parse(row.excluded ?? "[]") as string[];
  const references = JSON.parse(row.refers_to ?? "[]") as Reference[];
  const installed: TableShape = {
    ...{ table: name, channel, engine: "postgres", columns: JSON.parse(row.columns) as Column[], key },
    ...(references.length > 0 && { references }),
    hash: row.fingerprint,
  };
  const shape = now === undefined ? installed : shapeWithNew(installed, now, excluded);
  const { columns } = shape;
  return {
    id: Number(row.id),
    name,
    channel,
    sql: qualified(row.local_schema, row.local_table),
    local: row.local_table,
    columns,
    collations: JSON.parse(row.collations ?? "{}") as CapturedTable["collations"],
    key,
    excluded,
    wholeImages: row.whole_images === "t",
    shape,
    references: [...new Set(references.map(({ table }) => table))].filter((other) => other !== name),
    sequences: (JSON.parse(row.sequences ?? "[]") as ColumnSequence[]).filter(({ column }) =>
      columns.some(({ name, base, type }) => name === column && COUNTABLE.has(base ?? type)),
    ),
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
