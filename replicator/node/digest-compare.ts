import type { DigestSnapshot, KeyRange, KeyText, RangeDigest, RowDigest } from "./digest.ts";

/** A row that is not the same on both sides; null where there is none. */
export interface RowDifference {
  readonly key: KeyText;
  readonly parent: string | null;
  readonly child: string | null;
}

/** What was compared since the last step: rows of the side that has more of them. */
export interface CompareStep {
  readonly rows: number;
  /** Of the parent. */
  readonly parentRows: number;
  readonly differences: readonly RowDifference[];
  /** Everything before it has been compared, so that others may go on from there at other cuts; null where that cannot be said, and at the end. */
  readonly upTo: KeyText | null;
}

export interface CompareOptions {
  readonly parent: DigestSnapshot;
  readonly child: DigestSnapshot;
  /** Index into the tables of both snapshots. */
  readonly table: number;
  readonly order: "key" | "hash";
  /** In the order `key`: only these keys. */
  readonly range?: KeyRange;
  /** One small range after the other: whoever asks rests in between. */
  readonly isPaced?: boolean;
  /** Asked for each range: whether it is compared. All of them are where it is missing. */
  readonly sample?: () => boolean;
}

/** A range that differs is told row by row, so that it is small. Its digest takes a server some 20 ms. */
const RANGE_ROWS = 10_000;
/** What applications wait behind is a millisecond of work. */
const PACED_RANGE_ROWS = 500;
/** Ranges that both sides digest before they hear of more. */
const RANGES_AT_ONCE = 8;
/** A side may hold far more rows than the other between two bounds: beyond this the range is divided anew. */
const LISTED_ROWS = 4 * RANGE_ROWS;
/** 4096 buckets. */
const BUCKET_DIGITS = 3;

const EVERYTHING: KeyRange = { from: null, to: null };

/** Compares a table of two snapshots, range by range; rows of ranges that are equal stay where they are. Both sides work at the same time. */
export async function* compareTable(options: CompareOptions): AsyncGenerator<CompareStep> {
  yield* options.order === "key" ? byKey(options) : byHash(options);
}

async function* byKey(options: CompareOptions): AsyncGenerator<CompareStep> {
  const { parent, child, table, range = EVERYTHING, isPaced = false, sample = () => true } = options;
  const step = isPaced ? { rows: PACED_RANGE_ROWS, count: 1 } : { rows: RANGE_ROWS, count: RANGES_AT_ONCE };
  for (let from = range.from, more = true; more; ) {
    const bounds = await parent.bounds(table, { from, to: range.to }, step);
    more = bounds.length === step.count;
    const ends = more ? bounds : [...bounds, range.to];
    const ranges = ends.map((to, at): KeyRange => ({ from: at === 0 ? from : (ends[at - 1] ?? null), to }));
    from = more ? (ends.at(-1) ?? null) : null;
    const chosen = ranges.filter(sample);
    const [above, below] = await Promise.all([parent.digests(table, chosen), child.digests(table, chosen)]);
    for (const [at, one] of chosen.entries()) {
      const [a, b] = [above[at] as RangeDigest, below[at] as RangeDigest];
      const differences = same(a, b) ? [] : await differencesIn(options, one, a, b);
      yield { rows: Math.max(a.rows, b.rows), parentRows: a.rows, differences, upTo: at === chosen.length - 1 ? from : one.to };
    }
  }
}

async function differencesIn(options: CompareOptions, range: KeyRange, a: RangeDigest, b: RangeDigest): Promise<RowDifference[]> {
  const { parent, child, table } = options;
  if (Math.max(a.rows, b.rows) <= LISTED_ROWS) {
    const [above, below] = await Promise.all([parent.list(table, [range]), child.list(table, [range])]);
    return merged(above, below);
  }
  // as many ranges as the larger side fills
  const larger = a.rows > b.rows ? parent : child;
  const step = { rows: RANGE_ROWS, count: Math.ceil(Math.max(a.rows, b.rows) / RANGE_ROWS) };
  const bounds = await larger.bounds(table, range, step);
  const parts = [...bounds, range.to].map((to, at): KeyRange => ({ from: at === 0 ? range.from : (bounds[at - 1] ?? null), to }));
  const differences: RowDifference[] = [];
  for (const part of parts) {
    const [above, below] = await Promise.all([parent.digests(table, [part]), child.digests(table, [part])]);
    if (same(above[0], below[0])) continue;
    const [left, right] = await Promise.all([parent.list(table, [part]), child.list(table, [part])]);
    differences.push(...merged(left, right));
  }
  return differences;
}

async function* byHash({ parent, child, table, sample = () => true }: CompareOptions): AsyncGenerator<CompareStep> {
  const [above, below] = await Promise.all([parent.buckets(table, BUCKET_DIGITS), child.buckets(table, BUCKET_DIGITS)]);
  const buckets = new Map<string, { range: KeyRange; above?: RangeDigest; below?: RangeDigest }>();
  for (const one of above) buckets.set(one.range.from ?? "", { range: one.range, above: one });
  for (const one of below) buckets.set(one.range.from ?? "", { ...buckets.get(one.range.from ?? ""), range: one.range, below: one });
  let [rows, parentRows] = [0, 0];
  const differing: { readonly range: KeyRange; readonly rows: number }[] = [];
  for (const [, bucket] of [...buckets].sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (!sample()) continue;
    const most = Math.max(bucket.above?.rows ?? 0, bucket.below?.rows ?? 0);
    rows += most;
    parentRows += bucket.above?.rows ?? 0;
    if (!same(bucket.above, bucket.below)) differing.push({ range: bucket.range, rows: most });
  }
  yield { rows, parentRows, differences: [], upTo: null };
  // each list is another pass over the table
  for (let at = 0; at < differing.length; ) {
    const ranges: KeyRange[] = [];
    for (let listed = 0; at < differing.length && (ranges.length === 0 || listed < LISTED_ROWS); at++) {
      const one = differing[at] as { range: KeyRange; rows: number };
      ranges.push(one.range);
      listed += one.rows;
    }
    const [left, right] = await Promise.all([parent.list(table, ranges), child.list(table, ranges)]);
    yield { rows: 0, parentRows: 0, differences: merged(left, right), upTo: null };
  }
}

const same = (a: RangeDigest | undefined, b: RangeDigest | undefined): boolean =>
  (a?.rows ?? 0) === (b?.rows ?? 0) && (a?.digest ?? "") === (b?.digest ?? "");

function merged(above: readonly RowDigest[], below: readonly RowDigest[]): RowDifference[] {
  const there = new Map(below.map(({ key, digest }) => [key, digest]));
  const differences: RowDifference[] = [];
  for (const { key, digest } of above) {
    const other = there.get(key) ?? null;
    there.delete(key);
    if (other !== digest) differences.push({ key, parent: digest, child: other });
  }
  for (const [key, digest] of there) differences.push({ key, parent: null, child: digest });
  return differences;
}
