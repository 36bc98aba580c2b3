import { createHash } from "node:crypto";
import type pg from "pg";
import type { ChannelName, TableName } from "../../change/names.ts";
import type { Column, TableShape } from "../../change/shape.ts";

/** A relation as the catalog shows it, with all that decides whether and how it can be captured. */
export interface Relation {
  readonly oid: string;
  readonly schema: string;
  readonly name: string;
  /** `pg_class.relkind`: `r` table, `p` partitioned table, `f` foreign table, `v` view, `m` materialized view. */
  readonly kind: string;
  /** `p` permanent, `u` unlogged, `t` temporary. */
  readonly persistence: string;
  readonly isPartition: boolean;
  /** Takes part in old-style inheritance, as a parent or as a child. */
  readonly inherits: boolean;
  readonly owner: string;
  /** The replicator's role is the owner or a member of it. */
  readonly owned: boolean;
  /** Privileges that the role lacks, of SELECT, INSERT, UPDATE, DELETE and TRIGGER. */
  readonly lacking: readonly string[];
  /** Row-level security applies to the replicator's role. */
  readonly hidesRows: boolean;
  /** A native subscription writes to it. */
  readonly subscribed: boolean;
  readonly columns: readonly RelationColumn[];
  /** Unique indexes over plain columns, the primary key first. */
  readonly keys: readonly RelationKey[];
  readonly triggers: readonly RelationTrigger[];
  /** The leaf partitions, with the state of their capture triggers by name. */
  readonly partitions: readonly {
    readonly oid: string;
    readonly schema: string;
    readonly name: string;
    readonly triggers: { readonly [name: string]: string };
  }[];
  /** Changes with every rewrite of the table, a harmless one (VACUUM FULL) too. */
  readonly filenode: string;
  /** Changes with every ALTER of a column. */
  readonly columnMarks: string;
}

export interface RelationColumn extends Column {
  readonly base: string;
  readonly generated: boolean;
  /** Generated, and not stored (Postgres 18). */
  readonly virtual: boolean;
  /** An insert may leave it out: it has a default, or its domain has. */
  readonly defaulted: boolean;
}

export interface RelationKey {
  readonly name: string;
  readonly primary: boolean;
  readonly deferrable: boolean;
  /** One of its columns may be NULL. */
  readonly nullable: boolean;
  readonly columns: readonly string[];
}

export interface RelationTrigger {
  readonly name: string;
  /** `schema.function`. */
  readonly function: string;
  /** `pg_trigger.tgenabled`: `O` origin, `A` always, `R` replica, `D` disabled. */
  readonly enabled: string;
  readonly args: readonly string[];
  /** `pg_trigger.tgtype`: bit 0 row (not statement), 1 before, 2 insert, 3 delete, 4 update, 5 truncate. */
  readonly type: number;
  /** Without a WHEN condition and without a list of columns. */
  readonly plain: boolean;
  readonly ours: boolean;
}

/** SQL over the columns of a relation that changes whenever one of them does. */
export const COLUMN_MARKS = "md5(string_agg(a.xmin::text, ',' order by a.attnum))";

const SELECT = `
  select coalesce(json_agg(json_build_object(
    'oid', c.oid::text, 'schema', n.nspname, 'name', c.relname, 'kind', c.relkind, 'persistence', c.relpersistence, 'isPartition', c.relispartition,
    'inherits', c.relkind = 'r' and not c.relispartition and exists (select from pg_inherits i where c.oid in (i.inhrelid, i.inhparent)),
    'owner', pg_get_userbyid(c.relowner), 'owned', pg_has_role(c.relowner, 'usage'),
    'lacking', (select coalesce(json_agg(p), '[]') from unnest('{SELECT,INSERT,UPDATE,DELETE,TRIGGER}'::text[]) p where not has_table_privilege(c.oid, p)),
    'hidesRows', row_security_active(c.oid),
    'subscribed', exists (select from pg_subscription_rel s where s.srrelid = c.oid),
    'filenode', pg_relation_filenode(c.oid)::text,
    'columnMarks', (select ${COLUMN_MARKS} from pg_attribute a where a.attrelid = c.oid and a.attnum > 0),
    'columns', (
      select coalesce(json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'base', b.typname,
               'notNull', a.attnotnull or b.required, 'generated', a.attgenerated <> '', 'virtual', a.attgenerated = 'v',
               'defaulted', a.atthasdef or a.attidentity <> '' or b.defaulted) order by a.attnum), '[]')
        from pg_attribute a cross join lateral (
          with recursive d as (
            select t.typname, t.typtype, t.typbasetype, t.typnotnull as required, t.typdefault is not null as defaulted, 0 as depth
              from pg_type t where t.oid = a.atttypid
            union all
            select t.typname, t.typtype, t.typbasetype, d.required or t.typnotnull, d.defaulted, d.depth + 1
              from d join pg_type t on t.oid = d.typbasetype where d.typtype = 'd')
          select d.typname, d.required, d.defaulted from d order by d.depth desc limit 1) b
       where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped),
    'keys', (
      select coalesce(json_agg(json_build_object('name', x.relname, 'primary', i.indisprimary, 'deferrable', not i.indimmediate,
               'nullable', k.nullable, 'columns', k.names) order by i.indisprimary desc, i.indimmediate desc, cardinality(k.names), x.relname), '[]')
        from pg_index i join pg_class x on x.oid = i.indexrelid cross join lateral (
          select array_agg(a.attname::text order by u.ord) as names, bool_or(not a.attnotnull) as nullable
            from unnest(i.indkey::int2[]) with ordinality u (attnum, ord) join pg_attribute a on a.attrelid = i.indrelid and a.attnum = u.attnum
           where u.ord <= i.indnkeyatts) k
       where i.indrelid = c.oid and i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null),
    'triggers', (
      select coalesce(json_agg(json_build_object('name', t.tgname, 'function', fn.nspname || '.' || f.proname, 'enabled', t.tgenabled,
               'ours', fn.nspname = 'tombolo' and f.proname like 'capture\\_%',
               'type', t.tgtype, 'plain', t.tgqual is null and cardinality(t.tgattr::int2[]) = 0, 'args', encode(t.tgargs, 'hex')) order by t.tgname), '[]')
        from pg_trigger t join pg_proc f on f.oid = t.tgfoid join pg_namespace fn on fn.oid = f.pronamespace
       where t.tgrelid = c.oid and not t.tgisinternal),
    'partitions', (
      select coalesce(json_agg(json_build_object('oid', l.oid::text, 'schema', ln.nspname, 'name', l.relname,
               'triggers', (select coalesce(json_object_agg(t.tgname, t.tgenabled), '{}') from pg_trigger t where t.tgrelid = l.oid and t.tgname like 'tombolo\\_capture\\_%')) order by l.oid), '[]')
        from pg_partition_tree(c.oid) p join pg_class l on l.oid = p.relid join pg_namespace ln on ln.oid = l.relnamespace where p.isleaf and c.relkind = 'p')
  ) order by n.nspname, c.relname), '[]')::text as relations
    from pg_class c join pg_namespace n on n.oid = c.relnamespace`;

/** The relations of these schema-qualified names; one that does not exist is missing from the answer. */
export async function relationsNamed(
  client: Queryable,
  names: readonly { readonly schema: string; readonly table: string }[],
): Promise<Relation[]> {
  const wanted = JSON.stringify(names);
  return read(
    client,
    `${SELECT} join json_to_recordset($1::json) as w (schema text, "table" text) on w.schema = n.nspname and w.table = c.relname
      where c.relkind not in ('i', 'I', 'c', 't')`,
    [wanted],
  );
}

export async function relationsOf(client: Queryable, oids: readonly string[]): Promise<Relation[]> {
  return read(client, `${SELECT} where c.oid = any($1::oid[])`, [`{${oids.join(",")}}`]);
}

/** Every table that an application may have: nothing of the system's, of ours, or of an extension's. */
export async function allTables(client: Queryable): Promise<Relation[]> {
  return read(
    client,
    `${SELECT} where c.relkind in ('r', 'p') and not c.relispartition and n.nspname <> 'tombolo' and n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
        and has_schema_privilege(n.oid, 'usage')
        and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')`,
    [],
  );
}

export type Queryable = Pick<pg.ClientBase, "query"> | Pick<pg.Pool, "query">;

async function read(client: Queryable, text: string, values: unknown[]): Promise<Relation[]> {
  const { rows } = await client.query<{ relations: string }>(text, values);
  const relations = JSON.parse(rows[0]?.relations ?? "[]") as (Omit<Relation, "triggers"> & { triggers: StoredTrigger[] })[];
  return relations.map((relation) => ({
    ...relation,
    triggers: relation.triggers.map((trigger) => ({ ...trigger, args: argumentsOf(trigger.args) })),
  }));
}

/** With the arguments as the catalog has them: each ended by a zero byte, in hex. */
type StoredTrigger = Omit<RelationTrigger, "args"> & { readonly args: string };

const argumentsOf = (hex: string): string[] => Buffer.from(hex, "hex").toString("utf8").split("\0").slice(0, -1);

/** The key that changes are told by: the primary key, else the narrowest unique index that always says which row; undefined without one. */
export const usableKey = (relation: Relation): RelationKey | undefined => relation.keys.find((key) => !key.deferrable && !key.nullable);

/** Statement triggers do not see what is written to a partition directly, or by a native subscription. */
export const needsRowTriggers = (relation: Relation): boolean => relation.kind === "p" || relation.subscribed;

/** The shape as readers see it, without the columns of `excluded`. `key` is empty for a relation without a usable one. */
export function shapeOf(relation: Relation, table: TableName, channel: ChannelName, excluded: readonly string[] = []): TableShape {
  const columns = relation.columns
    .filter(({ name, generated }) => !generated && !excluded.includes(name))
    .map(({ name, type, base, notNull }) => ({ name, type, base, notNull }));
  const key = usableKey(relation)?.columns ?? [];
  return hashed({ table, channel, columns, key });
}

/** The same with the columns that the relation has got besides: in each image of a row they are as soon as they are in the table. */
export function shapeWithNew(shape: TableShape, relation: Relation, excluded: readonly string[]): TableShape {
  const known = new Set(shape.columns.map(({ name }) => name));
  const { table, channel, key, columns, ...rest } = shape;
  const added = shapeOf(relation, table, channel, excluded).columns.filter(({ name }) => !known.has(name));
  return added.length === 0 ? shape : { ...rest, ...hashed({ table, channel, columns: [...columns, ...added], key }) };
}

function hashed({ table, channel, columns, key }: Pick<TableShape, "table" | "channel" | "columns" | "key">): TableShape {
  const shape = { table, channel, engine: "postgres", columns, key } as const;
  return { ...shape, hash: createHash("sha256").update(JSON.stringify(shape)).digest("hex").slice(0, 32) };
}
