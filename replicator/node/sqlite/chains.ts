import type { Image } from "./image.ts";

/** A row of tombolo_change. */
export interface LogRow {
  readonly seq: bigint;
  readonly tableId: number;
  readonly op: "I" | "U" | "D" | "R" | "H";
  readonly key: Image;
  readonly old: Image | null;
  readonly new: Image | null;
  readonly origin: number | null;
  readonly target: number | null;
  readonly changedAt: string;
}

/** A change that really happened. */
export interface NetChange {
  readonly tableId: number;
  readonly op: "I" | "U" | "D" | "R";
  readonly key: Image;
  readonly old: Image | null;
  readonly new: Image | null;
  readonly changedAt: string;
  /** Of a reduced update: the steps that led there. A column that went away and came back stays touched (see change/fold.ts). */
  readonly steps?: readonly { readonly old: Image; readonly new: Image }[];
  /** Of a reduced update: the row was deleted and inserted on the way (a REPLACE), so that all of its columns were touched. */
  readonly replaced?: boolean;
}

export interface ChainReader {
  /** The peer that reads: what came from it is left out, what is meant for it is put in. */
  readonly peer: number | null;
  /** The row's image right after an entry that is the last one of its key here, whatever comes later in the log. */
  stateAfter(entry: LogRow): Image | null;
}

/**
 * Turns log rows, complete up to a point where no statement is under way, into the changes that happened, in log order.
 *
 * The entries of one key form a chain: what one leaves is what the next finds. Nearly always they do, and go out as they are. Where a
 * row was touched by what may be a REPLACE, or the images do not link (what an application's trigger did to a row can be logged before
 * the change that fired it), the chain is reduced to where it began and where it ended.
 */
export function resolve(rows: readonly LogRow[], reader: ChainReader): NetChange[] {
  const reduced = new Map<bigint, NetChange | null>();
  for (const chains of chainsByTable(rows, reader)) {
    for (const chain of chains.values()) {
      if (Array.isArray(chain) ? !isPlain(chain) : chain.op === "H") reduce(Array.isArray(chain) ? chain : [chain], reader, reduced);
    }
  }
  const changes: NetChange[] = [];
  for (const row of rows) {
    const net = reduced.get(row.seq);
    if (net !== undefined) {
      if (net !== null) changes.push(net);
    } else if (isChange(row) && isVisible(row, reader)) changes.push(row);
  }
  return changes;
}

/** What is for the reader, by key. Nearly every chain is one entry long, and then it is that entry. */
function chainsByTable(rows: readonly LogRow[], reader: ChainReader): Iterable<ReadonlyMap<Image, LogRow | LogRow[]>> {
  const tables = new Map<number, Map<Image, LogRow | LogRow[]>>();
  for (const row of rows) {
    if (row.target !== null && row.target !== reader.peer) continue;
    let chains = tables.get(row.tableId);
    if (chains === undefined) {
      chains = new Map();
      tables.set(row.tableId, chains);
    }
    const chain = chains.get(row.key);
    if (chain === undefined) chains.set(row.key, row);
    else if (Array.isArray(chain)) chain.push(row);
    else chains.set(row.key, [chain, row]);
  }
  return tables.values();
}

const isChange = (row: LogRow): row is LogRow & NetChange => row.op !== "H";

const isVisible = (row: LogRow, reader: ChainReader): boolean =>
  row.target === null ? row.origin === null || row.origin !== reader.peer : row.target === reader.peer;

/** Images before and after an entry; null is "no row". A touch leaves what is not known here. */
const before = (row: LogRow): Image | null => (row.op === "I" ? null : row.old);
const after = (row: LogRow): Image | null => (row.op === "D" ? null : row.new);

function isPlain(chain: readonly LogRow[]): boolean {
  return !chain.some(({ op }) => op === "H") && links(chain.filter(({ target }) => target === null));
}

const links = (chain: readonly LogRow[]): boolean => chain.every((row, at) => at === 0 || before(row) === after(chain[at - 1] as LogRow));

/** Reduces each run of entries that the reader sees alike to one change, which takes the place of the run's first entry. */
function reduce(chain: readonly LogRow[], reader: ChainReader, reduced: Map<bigint, NetChange | null>): void {
  for (let start = 0; start < chain.length; ) {
    const first = chain[start] as LogRow;
    let end = start + 1;
    while (first.target === null && end < chain.length && joins(first, chain[end] as LogRow, reader)) end++;
    if (first.target === null) {
      for (const row of chain.slice(start, end)) reduced.set(row.seq, null);
      if (isVisible(first, reader)) {
        const next = chain.slice(end).find(({ target }) => target === null);
        reduced.set(
          first.seq,
          net(chain.slice(start, end), (last) => (next === undefined ? reader.stateAfter(last) : before(next))),
        );
      }
    }
    start = end;
  }
}

const joins = (first: LogRow, row: LogRow, reader: ChainReader): boolean =>
  row.target === null && isVisible(row, reader) === isVisible(first, reader);

function net(run: readonly LogRow[], stateAfter: (last: LogRow) => Image | null): NetChange | null {
  const { from, to } = endsOf(run, stateAfter);
  const last = run.at(-1) as LogRow;
  const change = { tableId: last.tableId, key: last.key, changedAt: last.changedAt };
  const real = run.filter(({ op }) => op !== "H");
  if (from === to && real.length === 0) return null;
  if (to === null) return { ...change, op: "D", old: from ?? last.old ?? last.new, new: null };
  if (from === null) return { ...change, op: "I", old: null, new: to };
  const steps = real.flatMap((row) => (row.op === "U" && row.old !== null && row.new !== null ? [{ old: row.old, new: row.new }] : []));
  return { ...change, op: "U", old: from, new: to, steps, replaced: real.some(({ op }) => op !== "U") };
}

interface Ends {
  readonly from: Image | null;
  readonly to: Image | null;
}

/** Where a run began and ended. */
function endsOf(run: readonly LogRow[], stateAfter: (last: LogRow) => Image | null): Ends {
  const first = run[0] as LogRow;
  const last = run.at(-1) as LogRow;
  if (!run.some(({ op }) => op === "H")) {
    if (links(run)) return { from: before(first), to: after(last) };
    const path = endsOfPath(run, stateAfter);
    if (path !== undefined) return path;
  }
  return { from: before(first), to: stateAfter(last) };
}

/**
 * The ends of the one walk that uses every entry once, whatever their order: it leaves its beginning once more than it comes there, and
 * comes to its end once more than it leaves it. undefined where the entries make no such walk.
 */
function endsOfPath(run: readonly LogRow[], stateAfter: (last: LogRow) => Image | null): Ends | undefined {
  const balance = new Map<Image | null, number>();
  const add = (image: Image | null, by: number): void => void balance.set(image, (balance.get(image) ?? 0) + by);
  for (const row of run) {
    add(before(row), 1);
    add(after(row), -1);
  }
  const open = [...balance].filter(([, count]) => count !== 0);
  if (open.length === 0) {
    // it came back to where it began, wherever that was
    const state = stateAfter(run.at(-1) as LogRow);
    return { from: state, to: state };
  }
  const from = open.find(([, count]) => count === 1);
  const to = open.find(([, count]) => count === -1);
  return open.length === 2 && from !== undefined && to !== undefined ? { from: from[0], to: to[0] } : undefined;
}
