/** A sequence behind a column: of a serial or identity, owned by it, or named by its default. */
export interface ColumnSequence {
  readonly column: string;
  /** Quoted and qualified. */
  readonly sequence: string;
  /** Where the node hands out every `stride`-th number only. */
  readonly ids: { readonly stride: string; readonly slot: string } | null;
}

/** Lists `(attname, sequence)`, the latter an oid, of the columns of a relation, which is an SQL expression for its oid. */
export const columnSequences = (relation: string): string => `
  select a.attname, s.oid as sequence
    from pg_attribute a
    cross join lateral (
      select d.objid from pg_depend d
       where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.refobjid = a.attrelid and d.refobjsubid = a.attnum
         and d.deptype in ('a', 'i')
      union
      select d.refobjid from pg_attrdef f join pg_depend d on d.classid = 'pg_attrdef'::regclass and d.objid = f.oid and d.refclassid = 'pg_class'::regclass
       where f.adrelid = a.attrelid and f.adnum = a.attnum) as behind
    join pg_class s on s.oid = behind.objid and s.relkind = 'S'
   where a.attrelid = ${relation} and a.attnum > 0 and not a.attisdropped`;

/** Bases of columns whose numbers a sequence can be compared with. */
export const COUNTABLE: ReadonlySet<string> = new Set(["int2", "int4", "int8", "numeric"]);
