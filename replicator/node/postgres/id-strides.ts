import { columnSequences } from "./column-sequences.ts";
import { ident, qualified } from "./identifier.ts";
import type { Queryable } from "./shape.ts";

/** A sequence behind a column, as the catalog shows it. Numbers are numeric columns of the catalog, as big integers. */
export interface IdSequence {
  readonly oid: string;
  readonly schema: string;
  readonly name: string;
  /** Quoted and qualified. */
  readonly sql: string;
  readonly increment: bigint;
  readonly start: bigint;
  readonly max: bigint;
  readonly cycles: boolean;
  readonly cache: bigint;
  readonly owner: string;
  /** The replicator's role is the owner or a member of it. */
  readonly owned: boolean;
}

export interface BehindColumn extends IdSequence {
  /** Oid of the table. */
  readonly relation: string;
  readonly column: string;
}

/** Numbers `stride` apart that leave the remainder `slot`. */
export interface Goal {
  readonly stride: bigint;
  readonly slot: bigint;
}

/** The first number that is not below `least`. */
export const firstInSlot = (least: bigint, { stride, slot }: Goal): bigint => least + ((((slot - least) % stride) + stride) % stride);

/** A sequence of which this node hands out every `stride`-th number only. */
export interface StridedSequence extends IdSequence, Goal {
  readonly table: string;
  /** Before it was strided. */
  readonly original: { readonly increment: bigint; readonly start: bigint };
}

const FACTS = `'oid', s.oid::text, 'schema', n.nspname, 'name', s.relname, 'increment', q.seqincrement::text, 'start', q.seqstart::text, 'max', q.seqmax::text,
    'cycles', q.seqcycle, 'cache', q.seqcache::text, 'owner', pg_get_userbyid(s.relowner), 'owned', pg_has_role(s.relowner, 'usage')`;
const JOINS =
  "join pg_class s on s.oid = b.sequence join pg_namespace n on n.oid = s.relnamespace join pg_sequence q on q.seqrelid = s.oid";

/** The sequences behind all columns of some tables, by their oids. */
export async function sequencesBehind(client: Queryable, relations: readonly string[]): Promise<BehindColumn[]> {
  if (relations.length === 0) return [];
  const found = await json<Written<BehindColumn>>(
    client,
    `select coalesce(json_agg(json_build_object('relation', r.oid::text, 'column', b.attname, ${FACTS}) order by s.oid, r.oid, b.attname), '[]')
       from unnest($1::oid[]) as r (oid) cross join lateral (${columnSequences("r.oid")}) as b ${JOINS}`,
    [`{${relations.join(",")}}`],
  );
  return found.map((row) => ({ ...row, ...sequence(row) }));
}

/** Whether the database is of a version that knows strides of ids. */
export async function hasStrides(client: Queryable): Promise<boolean> {
  const { rows } = await client.query<{ known: string }>("select to_regclass('tombolo.strided_sequence') is not null as known");
  return rows[0]?.known === "t";
}

/** Sequences that were strided and are still there. */
export async function stridedSequences(client: Queryable): Promise<StridedSequence[]> {
  if (!(await hasStrides(client))) return [];
  const found = await json<Written<StridedSequence>>(
    client,
    `select coalesce(json_agg(json_build_object('table', b.table_name, 'stride', b.stride::text, 'slot', b.slot::text,
              'original', json_build_object('increment', b.increment::text, 'start', b.start::text), ${FACTS}) order by s.oid), '[]')
       from tombolo.strided_sequence as b ${JOINS}`,
    [],
  );
  return found.map(({ stride, slot, original, ...row }) => ({
    ...row,
    ...sequence(row),
    stride: BigInt(stride),
    slot: BigInt(slot),
    original: { increment: BigInt(original.increment), start: BigInt(original.start) },
  }));
}

/** The number that a sequence hands out next; it may be beyond its end. */
export async function upcoming(client: Queryable, { sql, increment }: Pick<IdSequence, "sql" | "increment">): Promise<bigint> {
  const { rows } = await client.query<{ last: string; called: string }>(`select last_value as last, is_called as called from ${sql}`);
  const last = BigInt(rows[0]?.last ?? 0);
  return rows[0]?.called === "t" ? last + increment : last;
}

/** The largest number in a column; null where there is none. */
export async function highest(client: Queryable, table: string, column: string): Promise<bigint | null> {
  const { rows } = await client.query<{ highest: string | null }>(`select floor(max(${ident(column)})::numeric) as highest from ${table}`);
  return rows[0]?.highest == null ? null : BigInt(rows[0].highest);
}

/** Big integers as JSON has them. */
type Written<T> = {
  readonly [key in keyof T]: T[key] extends bigint ? string : T[key] extends { readonly increment: bigint } ? Original : T[key];
};
interface Original {
  readonly increment: string;
  readonly start: string;
}

function sequence(row: Pick<Written<IdSequence>, "schema" | "name" | "increment" | "start" | "max" | "cache">) {
  return {
    sql: qualified(row.schema, row.name),
    increment: BigInt(row.increment),
    start: BigInt(row.start),
    max: BigInt(row.max),
    cache: BigInt(row.cache),
  };
}

async function json<T>(client: Queryable, text: string, values: unknown[]): Promise<readonly T[]> {
  const { rows } = await client.query<{ found: string }>(`select (${text})::text as found`, values);
  return JSON.parse(rows[0]?.found ?? "[]") as T[];
}
