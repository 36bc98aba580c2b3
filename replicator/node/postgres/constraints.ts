import type pg from "pg";
import { type TableName, tableName } from "../../change/names.ts";
import type { Column } from "../../change/shape.ts";
import { type CapturedTable, columnNames } from "./captured-tables.ts";

/** A unique key (also partial, or over expressions) or an exclusion constraint: what two rows must not have in common. */
export interface SharedNothing {
  readonly name: string;
  readonly kind: "unique" | "exclusion";
  /** Every column that it looks at, in its terms or its condition. */
  readonly columns: readonly string[];
  /** What is compared and by which operator; SQL that names the table's columns plainly. */
  readonly terms: readonly { readonly expression: string; readonly operator: string }[];
  /** The rows that it is about; null for all. */
  readonly predicate: string | null;
  /** NULL counts as a value. */
  readonly nullsEqual: boolean;
}

/** A foreign key, from the table or to it. */
export interface ForeignKey {
  readonly name: string;
  /** The other table: as statements and people name it, and as the topology does where it is captured. */
  readonly other: { readonly sql: string; readonly captured: TableName | null };
  /** Columns that refer, those that they refer to, and how to compare the latter with the former. */
  readonly columns: readonly string[];
  readonly to: readonly string[];
  readonly operators: readonly string[];
}

/** What the rules of a table are, as its database has them now. */
export interface Constraints {
  readonly shared: readonly SharedNothing[];
  readonly references: readonly ForeignKey[];
  readonly referredBy: readonly ForeignKey[];
  /** A row that is taken out and put back would set something off: an application's trigger, an action of a foreign key. */
  readonly deleteActs: boolean;
  /** All that a row is made of, whether it travels or not; generated columns are left out. */
  readonly stored: readonly Column[];
  /** Generated columns with the expressions that they are computed by. */
  readonly generated: { readonly [column: string]: string };
}

const OPERATOR =
  "(select format('operator(%I.%s)', n.nspname, o.oprname) from pg_operator o join pg_namespace n on n.oid = o.oprnamespace where o.oid =";

/** SQL for the names of the columns that an index `i` looks at, in its terms or its condition; `c` is the constraint behind it, if there is one. */
export const INDEX_COLUMNS = `(select coalesce(json_agg(a.attname order by a.attnum), '[]') from pg_attribute a where a.attrelid = i.indrelid and a.attnum > 0 and (
    a.attnum = any (i.indkey)
    or exists (select from pg_depend d where d.refclassid = 'pg_class'::regclass and d.refobjid = i.indrelid and d.refobjsubid = a.attnum
                and (d.classid, d.objid) in (('pg_class'::regclass, i.indexrelid), ('pg_constraint'::regclass, c.oid)))))`;

const SHARED = `
  select json_agg(json_build_object(
    'name', ic.relname, 'kind', case when i.indisexclusion then 'exclusion' else 'unique' end,
    'predicate', pg_get_expr(i.indpred, i.indrelid),
    'nullsEqual', coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false),
    'columns', ${INDEX_COLUMNS},
    'terms', (select json_agg(json_build_object('expression', pg_get_indexdef(i.indexrelid, k::int, false), 'operator',
        ${OPERATOR} coalesce(c.conexclop[k], (select m.amopopr from pg_opclass s join pg_amop m on m.amopfamily = s.opcfamily
           and m.amoplefttype = s.opcintype and m.amoprighttype = s.opcintype and m.amopstrategy = 3 where s.oid = i.indclass[k - 1])))) order by k)
      from generate_series(1, i.indnkeyatts) as k)) order by i.indisprimary desc, ic.relname)
    from pg_index i
    join pg_class ic on ic.oid = i.indexrelid
    left join pg_constraint c on c.conindid = i.indexrelid and c.conrelid = i.indrelid and c.contype in ('p', 'u', 'x')
   where i.indrelid = t.oid and (i.indisunique or i.indisexclusion)`;

const foreignKeys = (own: string, other: string): string => `
  select json_agg(json_build_object('name', f.conname,
    'other', json_build_object('sql', format('%I.%I', n.nspname, o.relname),
                               'captured', (select p.table_name from tombolo.captured_table p where p.relation = o.oid)),
    'columns', ${columnNames("f.conrelid", "f.conkey")}, 'to', ${columnNames("f.confrelid", "f.confkey")},
    'operators', (select json_agg(${OPERATOR} op) order by k.n) from unnest(f.conpfeqop) with ordinality as k(op, n))) order by f.conname)
    from pg_constraint f join pg_class o on o.oid = f.${other} join pg_namespace n on n.oid = o.relnamespace
   where f.${own} = t.oid and f.contype = 'f' and f.conparentid = 0 and coalesce((to_jsonb(f) ->> 'conenforced')::boolean, true)`;

const SELECT = `
  select json_build_object(
    'shared', coalesce((${SHARED}), '[]'),
    'references', coalesce((${foreignKeys("conrelid", "confrelid")}), '[]'),
    'referredBy', coalesce((${foreignKeys("confrelid", "conrelid")}), '[]'),
    'deleteActs', exists (select from pg_constraint f where f.confrelid = t.oid and f.contype = 'f' and f.confdeltype in ('c', 'n', 'd'))
               or exists (select from pg_trigger g where g.tgrelid = t.oid and not g.tgisinternal and g.tgenabled <> 'D' and g.tgtype & 8 = 8
                           and g.tgname not like 'tombolo\\_%'),
    'stored', (select json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'notNull', a.attnotnull,
                 'base', (with recursive b(oid) as (select a.atttypid union all select y.typbasetype from b join pg_type y on y.oid = b.oid where y.typtype = 'd')
                          select y.typname from b join pg_type y on y.oid = b.oid where y.typtype <> 'd')) order by a.attnum)
                 from pg_attribute a where a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''),
    'generated', (select coalesce(json_object_agg(a.attname, pg_get_expr(e.adbin, e.adrelid)), '{}') from pg_attribute a
                   join pg_attrdef e on e.adrelid = a.attrelid and e.adnum = a.attnum
                  where a.attrelid = t.oid and not a.attisdropped and a.attgenerated <> '')
  )::text as constraints from pg_class t where t.oid = to_regclass($1)`;

/** Of a table that was dropped or renamed: that statements name it is what will be refused. */
const NONE: Constraints = { shared: [], references: [], referredBy: [], deleteActs: false, stored: [], generated: {} };

/** Reads the rules of tables, each once: for the length of one piece of work, as they may be altered at any time. */
export class ConstraintReader {
  readonly #client: pg.ClientBase;
  readonly #known = new Map<string, Promise<Constraints>>();

  constructor(client: pg.ClientBase) {
    this.#client = client;
  }

  of(table: CapturedTable): Promise<Constraints> {
    const known = this.#known.get(table.sql);
    if (known !== undefined) return known;
    const reading = this.#read(table);
    this.#known.set(table.sql, reading);
    return reading;
  }

  async #read(table: CapturedTable): Promise<Constraints> {
    const { rows } = await this.#client.query<{ constraints: string }>(SELECT, [table.sql]);
    if (rows[0] === undefined) return NONE;
    const read = JSON.parse(rows[0].constraints) as Constraints;
    const named = (keys: readonly ForeignKey[]): ForeignKey[] =>
      keys.map(({ other, ...key }) => ({
        ...key,
        other: { ...other, captured: other.captured === null ? null : tableName(other.captured) },
      }));
    return { ...read, references: named(read.references), referredBy: named(read.referredBy) };
  }
}
