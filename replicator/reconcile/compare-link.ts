import type { TableName } from "../change/names.ts";
import type { KeyRange, KeyText } from "../node/digest.ts";
import { compareTable } from "../node/digest-compare.ts";
import type { ComparedLink } from "./compared-link.ts";
import type { ComparedTable } from "./compared-tables.ts";
import { NOTHING_DIFFERS, type TableComparison } from "./comparison.ts";
import { atCuts } from "./cuts.ts";
import { type Sleep, settleCandidates } from "./settle.ts";
import { ShareOfTime } from "./share-of-time.ts";

export interface CompareLinkOptions {
  readonly tables: readonly ComparedTable[];
  /** Of tables in the order `key`. */
  readonly range?: KeyRange;
  /** Tables of which only these rows are compared. */
  readonly changed?: ReadonlyMap<ComparedTable, ReadonlySet<KeyText>>;
  /** Share of the ranges that is compared, above 0 and up to 1. */
  readonly sample?: number;
  readonly signal: AbortSignal;
  readonly onProgress: (table: TableName, rows: number) => void;
  readonly sleep: Sleep;
  /** Per cent of the time that the databases are asked something, from 1 on; all of it where it is missing. */
  readonly pace?: number;
  /** For tests: milliseconds, of a clock that only goes forward. */
  readonly elapsed?: () => number;
  /** Of one table: beyond so many, what differs is no drift to be mended row by row. */
  readonly mostCandidates?: number;
  /** In [0, 1). */
  readonly random?: () => number;
}

const EVERYTHING: KeyRange = { from: null, to: null };
/** How long a table is read at one cut, where its order lets another go on from there. */
const CUT_MS = 20_000;
const MOST_CANDIDATES = 200_000;
const KEYS_AT_ONCE = 2_000;
/** As few as keep what applications wait behind short. */
const PACED_KEYS_AT_ONCE = 500;

/**
 * Compares the tables of two nodes while both are written to. First range by range at one cut of each node, which finds candidates; then those row by row,
 * at new cuts (see `settleCandidates`).
 */
export async function compareLink(ends: ComparedLink, options: CompareLinkOptions): Promise<readonly TableComparison[]> {
  const { tables, signal, pace = 100, sleep, elapsed = () => performance.now() } = options;
  const share = new ShareOfTime({ percent: pace, sleep, now: elapsed });
  const candidates = new Map<ComparedTable, ReadonlySet<KeyText>>();
  const compared = new Map<ComparedTable, number>();
  for (const table of tables) {
    const only = options.changed?.get(table);
    const found =
      only === undefined
        ? await candidatesOf(ends, table, { ...options, share })
        : await candidatesAmong(ends, table, only, { ...options, share });
    compared.set(table, found.rows);
    if (found.keys.size > 0) candidates.set(table, found.keys);
  }
  const settled = await settleCandidates(ends, { candidates, signal, sleep: options.sleep });
  return tables.map((table) => ({
    table,
    compared: compared.get(table) ?? 0,
    isPartial: (candidates.get(table)?.size ?? 0) > (options.mostCandidates ?? MOST_CANDIDATES),
    ...(settled.get(table) ?? NOTHING_DIFFERS),
  }));
}

/** Rows that look different. The cuts are made anew now and then: as long as one is open, its database can clean up nothing. */
async function candidatesOf(
  ends: ComparedLink,
  table: ComparedTable,
  options: CompareLinkOptions & { readonly share: ShareOfTime },
): Promise<{ readonly rows: number; readonly keys: ReadonlySet<KeyText> }> {
  const keys = new Set<KeyText>();
  const { order } = table.pair.parent;
  const { range = EVERYTHING, signal, share, mostCandidates = MOST_CANDIDATES } = options;
  let rows = 0;
  let from = range.from;
  for (let more = true; more && keys.size <= mostCandidates; ) {
    more = await atCuts(ends, [table], async (opened) => {
      const until = performance.now() + CUT_MS;
      for await (const step of compareTable({
        ...{ ...opened, ...sampled(options), table: 0, order, range: { from, to: range.to } },
        isPaced: !share.isWhole,
      })) {
        signal.throwIfAborted();
        rows += step.rows;
        options.onProgress(table.name, rows);
        for (const { key, child } of step.differences) if (child !== null || !isOneOfMany(table)) keys.add(key);
        if (keys.size > mostCandidates) return false;
        await share.rest(signal);
        if (step.upTo === null || performance.now() < until) continue;
        from = step.upTo;
        return true;
      }
      return false;
    });
  }
  return { rows, keys };
}

/** The same, of these rows alone. */
async function candidatesAmong(
  ends: ComparedLink,
  table: ComparedTable,
  only: ReadonlySet<KeyText>,
  options: CompareLinkOptions & { readonly share: ShareOfTime },
): Promise<{ readonly rows: number; readonly keys: ReadonlySet<KeyText> }> {
  const asked = [...only];
  const atOnce = options.share.isWhole ? KEYS_AT_ONCE : PACED_KEYS_AT_ONCE;
  const keys = new Set<KeyText>();
  let at = 0;
  while (at < asked.length) {
    await atCuts(ends, [table], async ({ parent, child }) => {
      const until = performance.now() + CUT_MS;
      while (at < asked.length && performance.now() < until) {
        options.signal.throwIfAborted();
        const some = asked.slice(at, at + atOnce);
        const [above, below] = await Promise.all([parent.digestsOf(0, some), child.digestsOf(0, some)]);
        for (const [place, key] of some.entries())
          if (above[place] !== below[place] && (below[place] !== null || !isOneOfMany(table))) keys.add(key);
        at += some.length;
        options.onProgress(table.name, at);
        await options.share.rest(options.signal);
      }
    });
  }
  return { rows: asked.length, keys };
}

/** What only travels up comes together at the parent from many children: its other rows are theirs, unless a filter tells them apart. */
const isOneOfMany = ({ direction, filter }: ComparedTable): boolean => direction === "up" && filter === null;

const sampled = ({ sample = 1, random = Math.random }: CompareLinkOptions): { sample?: () => boolean } =>
  sample < 1 ? { sample: () => random() < sample } : {};
