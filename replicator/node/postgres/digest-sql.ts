import type { Column } from "../../change/shape.ts";
import { postgresType } from "../../change/values/postgres-type.ts";
import type { DigestTable, KeyRange, KeyText } from "../digest.ts";
import { textArray } from "./array-literal.ts";
import type { CapturedTable } from "./captured-tables.ts";
import { typed } from "./column-sql.ts";
import { ident } from "./identifier.ts";
import { condition, rowsOf, Values } from "./row-filter.ts";
import { columnNamed } from "./set-statements.ts";

export interface Statement {
  readonly text: string;
  readonly values: unknown[];
}

/** The statements that digest one table. */
export interface DigestSql {
  bounds(range: KeyRange, step: { readonly rows: number; readonly count: number }): Statement;
  /** A count, and the digest: one text, or two sums. */
  digest(range: KeyRange): Statement;
  buckets(digits: number): Statement;
  /** In the order `key`, of the first range. */
  list(ranges: readonly KeyRange[]): Statement;
  /** With their places among the keys, from 1 on. */
  digestsOf(keys: readonly KeyText[]): Statement;
  rows(keys: readonly KeyText[]): Statement;
}

/** Behind every hex digit. */
const BEHIND_ALL = "g";

/** A number from another node's table may lie beyond this column's type, and is compared all the same. */
const WIDE: { readonly [base: string]: string } = { int2: "int8", int4: "int8", int8: "int8" };

/**
 * A record prints its columns as their types' output functions do: as they travel. Its MD5 is over UTF-8, whatever the database's encoding. Measured on
 * five columns of a million rows, seconds of a processor with Postgres 18: the rows alone 0.15, their texts 1.1, with an MD5 each and the chain of those 1.4; the bytes that the
 * server sends 0.5, with the chain of their MD5s 1.1, with the sums of two hashes of 64 bits 0.7 (see `DigestTable.asSent`; hashes of texts are the same in every version, and of bytes have
 * no name before version 18).
 */
export function digestSql({
  table,
  wanted,
  hstore,
  isUtf8,
}: {
  readonly table: CapturedTable;
  readonly wanted: DigestTable;
  readonly hstore: string;
  readonly isUtf8: boolean;
}): DigestSql {
  // qualified: a column may be called as what is selected here
  const own = (name: string): string => `${ident(table.local)}.${ident(name)}`;
  const record = (names: readonly string[]): string => md5(`row(${names.map(own).join(", ")})::text`, isUtf8);
  const names = wanted.columns.map(({ name }) => name);
  const digest = record(names);
  const sent = `encode(record_send(row(${names.map(own).join(", ")})), 'hex') collate "C"`;
  /** Of rows `r` with their `s`, as they are sent. */
  const sums = "sum(hashtextextended(r.s, 1)), sum(hashtextextended(r.s, 2))";
  const keyDigest = record(wanted.key);
  const key = wanted.key.map(own).join(", ");
  const texts = (names: readonly string[]): string => `to_json(array[${names.map((name) => `format('%s', ${name})`).join(", ")}])::text`;
  const keyTexts = texts(wanted.key.map(own));
  const columns = wanted.key.map((name) => columnNamed(table, name));
  const place = (text: KeyText, values: Values): string => {
    const texts = JSON.parse(text) as (string | null)[];
    return `(${columns.map((column, at) => `${values.add(texts[at] ?? null)}::text::${WIDE[column.base ?? ""] ?? column.type}`).join(", ")})`;
  };
  const compared = (values: Values): string[] => (wanted.filter === null ? [] : [condition(wanted.filter, values)]);
  const within = ({ from, to }: KeyRange, values: Values): string[] => [
    ...(from === null ? [] : [`(${key}) >= ${place(from, values)}`]),
    ...(to === null ? [] : [`(${key}) < ${place(to, values)}`]),
  ];
  const where = (conditions: readonly string[]): string => (conditions.length === 0 ? "" : ` where ${conditions.join(" and ")}`);
  const made = (make: (values: Values) => string): Statement => {
    const values = new Values();
    return { text: make(values), values: values.all };
  };
  /** Keys as rows: `ord`, their places, and `k0`, `k1`, … */
  const asked = (keys: readonly KeyText[], values: Values): string => {
    const parsed = keys.map((text) => JSON.parse(text) as (string | null)[]);
    const arrays = columns.map((_, at) => `${values.add(textArray(parsed.map((key) => key[at] ?? null)))}::text[]`);
    const casts = columns.map((column, at) => `${typed(`u.a${at}`, column)} as k${at}`).join(", ");
    return `select ord, ${casts} from unnest(${arrays.join(", ")}) with ordinality as u(${columns.map((_, at) => `a${at}`).join(", ")}, ord)`;
  };
  const source = rowsOf(table);
  return {
    // a step of the index at a time: numbering every row on the way takes three times as long, a seventh of what their digests take
    bounds: (range, { rows, count }) =>
      made((values) => {
        const places = wanted.key.map((_, at) => `k${at}`);
        const named = wanted.key.map((name, at) => `${own(name)} as k${at}`).join(", ");
        const next = (inside: readonly string[]): string =>
          `select ${named} from ${source}${where(inside)} order by ${key} offset ${rows} limit 1`;
        const first = next([...compared(values), ...within(range, values)]);
        const behind = `(${key}) >= (${places.map((place) => `b.${place}`).join(", ")})`;
        const rest = next([...compared(values), behind, ...within({ from: null, to: range.to }, values)]);
        return `with recursive b(${places.join(", ")}, place) as (
          select f.*, 1 from (${first}) as f
          union all
          select n.*, b.place + 1 from b cross join lateral (${rest}) as n where b.place < ${count})
          select ${texts(places)} from b order by place`;
      }),
    digest: (range) =>
      made((values) => {
        const inside = where([...compared(values), ...within(range, values)]);
        return wanted.asSent
          ? `select count(*), ${sums} from (select ${sent} as s from ${source}${inside} offset 0) as r`
          : `select count(*), md5(string_agg(${digest}, '')) from (select * from ${source}${inside} order by ${key}) as ${ident(table.local)}`;
      }),
    buckets: (digits) =>
      made((values) => {
        const half = (side: "left" | "right"): string => `sum(('x' || ${side}(r.s, 16))::bit(64)::int8)`;
        const rows = `select left(${keyDigest}, ${digits}) as b, ${wanted.asSent ? sent : digest} as s from ${source}${where(compared(values))} offset 0`;
        return `select b, count(*), ${wanted.asSent ? sums : `${half("left")}, ${half("right")}`} from (${rows}) as r group by b`;
      }),
    list: (ranges) =>
      made((values) => {
        const inside = compared(values);
        if (wanted.order === "key") {
          const [range = { from: null, to: null }] = ranges;
          return `select ${keyTexts}, ${digest} from ${source}${where([...inside, ...within(range, values)])}`;
        }
        const froms = values.add(textArray(ranges.map(({ from }) => from ?? "")));
        const ends = values.add(textArray(ranges.map(({ to }) => to ?? BEHIND_ALL)));
        const rows = `select ${keyTexts} as k, ${keyDigest} as kh, ${digest} as h from ${source}${where(inside)} offset 0`;
        // of ranges that ascend, the one that begins last at or before it
        const end = `(${ends}::text[])[width_bucket(kh collate "C", ${froms}::text[] collate "C")]`;
        return `select k, h from (${rows}) as r where kh collate "C" < ${end} collate "C"`;
      }),
    digestsOf: (keys) =>
      made((values) => {
        const inside = where(compared(values));
        const match = columns.map((column, at) => `${own(column.name)} = x.k${at}`).join(" and ");
        return `with x as materialized (${asked(keys, values)})
          select x.ord, ${digest} from x join (select * from ${source}${inside}) as ${ident(table.local)} on ${match}`;
      }),
    rows: (keys) =>
      made((values) => {
        const inside = where(compared(values));
        const match = columns.map((column, at) => `t.${ident(column.name)} = x.k${at}`).join(" and ");
        const row = `${hstore}.hstore(t.*)`;
        return `with x as materialized (${asked(keys, values)})
          select x.ord, ${hstore}.hstore_to_json(${hstore}.slice(${row}, ${values.add(textArray(table.key))}::text[]))::text, ${hstore}.hstore_to_json(${row})::text
            from x join (select * from ${source}${inside}) as t on ${match}`;
      }),
  };
}

/** The digests of rows given as texts, one array per column, in their order. */
export function normalisedSql(table: CapturedTable, wanted: DigestTable, isUtf8: boolean): string {
  const columns: Column[] = wanted.columns.map(({ name }) => columnNamed(table, name));
  const arrays = columns.map((_, at) => `$${at + 1}::text[]`).join(", ");
  const names = columns.map((_, at) => `a${at}`).join(", ");
  const casts = columns.map((column, at) => declared(`a${at}`, column)).join(", ");
  return `select ${md5(`row(${casts})::text`, isUtf8)} from unnest(${arrays}) with ordinality as u(${names}, ord) order by ord`;
}

/** Types that take fewer or more characters or digits by their modifiers; a cast to those cuts or rounds what does not fit. */
const MODIFIED = new Set(["varchar", "bpchar", "numeric", "time", "timetz", "timestamp", "timestamptz", "interval"]);

/** As the column would hold it, and print it; what would not fit stays as it is, and is another value than the column has. */
function declared(text: string, column: Column): string {
  const { base, modifiers } = postgresType(column);
  if (modifiers.length === 0 || !MODIFIED.has(base)) return typed(text, column);
  const [held, plain] = [`${text}::${column.type}`, `${text}::${base}`];
  return `case when ${held} = ${plain} then format('%s', ${held}) when ${text} is not null then format('%s', ${plain}) end`;
}

const md5 = (text: string, isUtf8: boolean): string => (isUtf8 ? `md5(${text})` : `md5(convert_to(${text}, 'UTF8'))`);
