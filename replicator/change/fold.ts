import type { Change, Op } from "./change.ts";
import { parseRow, type Row, rowText, sameValue } from "./value.ts";

/**
 * The net effect of a group of changes: at most one change per key, so that a target writes every row once.
 *
 * What was touched stays touched: a column that went away and came back is sent with the same value before and after, a row
 * that came and went is sent as a delete. Between two nodes that both write, leaving these out would not be safe: the
 * receiver may have made the same edit itself, or may have held back the other side's change because of the one that
 * would vanish, and nobody would ever tell it how the row ended. `oneWay` leaves them out, for channels in which only one side writes.
 */
export interface FoldOptions {
  /** Nothing flows against these changes: what cancels out is left out. */
  readonly oneWay?: boolean;
  /** Tables (`Change.table`) that log whole images (`detect: row`): with `oneWay`, their updates keep every column. */
  readonly wholeImages?: ReadonlySet<number>;
}

/** `N` is what a group can say and a log cannot: the row came and went, there was none before and there is none now. */
type NetOp = Exclude<Op, "T"> | "N";

const INSERT = "insert: the second";
const INSERT_MERGED = "insert: the first, with the columns of the second over it";
const UPDATE = "update: from before the first to after the second";
const DELETE = "delete: the row as it was before the first";
const REFRESH = "refresh: the second";
const REFRESH_MERGED = "refresh: the first, with the columns of the second over it";
const REFRESH_ABSENT = "refresh: absent";
const CAME_AND_WENT = "nothing before, nothing now";

/** What two changes of one key come to. */
type Meaning =
  | typeof INSERT
  | typeof INSERT_MERGED
  | typeof UPDATE
  | typeof DELETE
  | typeof REFRESH
  | typeof REFRESH_MERGED
  | typeof REFRESH_ABSENT
  | typeof CAME_AND_WENT;

/**
 * [first][second]. A log in order has no I+I, U+I, D+U or D+D; but a seed repeats rows that the log tells of anyway, and a log with
 * a hole has them all. There the later change is believed about what is now, the earlier one about what was.
 */
const RULES: { readonly [first in NetOp]: { readonly [second in Exclude<Op, "T">]: Meaning } } = {
  I: { I: INSERT, U: INSERT_MERGED, D: CAME_AND_WENT, R: REFRESH },
  U: { I: INSERT, U: UPDATE, D: DELETE, R: REFRESH },
  D: { I: UPDATE, U: UPDATE, D: DELETE, R: REFRESH },
  R: { I: REFRESH_MERGED, U: REFRESH_MERGED, D: REFRESH_ABSENT, R: REFRESH },
  N: { I: INSERT, U: INSERT_MERGED, D: CAME_AND_WENT, R: REFRESH },
};

/** A change whose rows have been parsed, because its key came more than once. */
interface Net {
  readonly table: number;
  readonly op: NetOp;
  readonly key: string;
  readonly old: Row | null;
  readonly new: Row | null;
  readonly changedAt: number;
}

/**
 * Folds changes in log order. A net change stands where its key first appeared and has the time of its last change. A
 * truncate stays in place: the changes of its table before it are dropped, and no change moves across it.
 *
 * Rows of keys that come once are passed on as text, unread: 3 million changes/s on one core, 1 million where keys repeat.
 */
export function foldGroup(changes: readonly Change[], options: FoldOptions = {}): Change[] {
  const out: (Change | null)[] = [];
  const nets = new Map<number, Net>();
  /** Per table, where a key stands in `out`; emptied by every truncate. */
  let places: Map<string, number>[] = [];
  let holes = false;

  for (const change of changes) {
    if (change.op === "T") {
      for (const [at, earlier] of out.entries()) {
        if (earlier === null || earlier.table !== change.table || earlier.op === "T") continue;
        out[at] = null;
        nets.delete(at);
        holes = true;
      }
      out.push(change);
      places = [];
      continue;
    }
    let keys = places[change.table];
    if (keys === undefined) {
      keys = new Map();
      places[change.table] = keys;
    }
    const at = keys.get(change.key);
    if (at === undefined) {
      keys.set(change.key, out.length);
      out.push(change);
      continue;
    }
    nets.set(at, combine(nets.get(at) ?? parsed(out[at] as Change), parsed(change)));
  }

  for (const [at, net] of nets) {
    const folded = written(net, options);
    out[at] = folded;
    holes ||= folded === null;
  }
  return holes ? out.filter((change) => change !== null) : (out as Change[]);
}

/** Cuts folded changes after each truncate, so that a part never holds a key twice (see `Part`). */
export function partsOf(folded: readonly Change[]): (readonly Change[])[] {
  const parts: (readonly Change[])[] = [];
  let start = 0;
  for (const [at, change] of folded.entries()) {
    if (change.op !== "T") continue;
    parts.push(folded.slice(start, at + 1));
    start = at + 1;
  }
  if (start < folded.length) parts.push(start === 0 ? folded : folded.slice(start));
  return parts;
}

function combine(first: Net, second: Net): Net {
  const as = (op: NetOp, before: Row | null, after: Row | null): Net => ({ ...second, op, old: before, new: after });
  switch (RULES[first.op as NetOp][second.op as Exclude<Op, "T">]) {
    case INSERT:
      return as("I", null, second.new);
    case INSERT_MERGED:
      return as("I", null, { ...(first.op === "N" ? first.old : first.new), ...second.new });
    case UPDATE: {
      const before = { ...second.old, ...first.old };
      const after = { ...first.new, ...second.new };
      return as("U", second.op === "U" && first.op === "D" ? only(before, new Set(Object.keys(after))) : before, after);
    }
    case DELETE:
      return as("D", { ...second.old, ...first.old }, null);
    case CAME_AND_WENT:
      return as("N", { ...first.new, ...second.old }, null);
    case REFRESH:
      return second;
    case REFRESH_MERGED:
      // a row that is absent has nothing to lay an update over: the update is all that is known
      return first.new === null && second.op === "U" ? second : as("R", null, { ...first.new, ...second.new });
    case REFRESH_ABSENT:
      return as("R", null, null);
  }
}

function written(net: Net, options: FoldOptions): Change | null {
  if (net.op === "N") return options.oneWay ? null : asChange(net, "D");
  if (net.op !== "U" || !options.oneWay) return asChange(net, net.op);
  const left = withoutWhatCameBack(net, options.wholeImages?.has(net.table) ?? false);
  return left && asChange(left, "U");
}

function withoutWhatCameBack(update: Net, whole: boolean): Net | null {
  const before = update.old ?? {};
  const after = update.new ?? {};
  const differs = (column: string): boolean =>
    Object.hasOwn(before, column) !== Object.hasOwn(after, column) || !sameValue(before[column], after[column]);
  const changed = new Set([...Object.keys(before), ...Object.keys(after)].filter(differs));
  if (changed.size === 0) return null;
  return whole ? update : { ...update, old: only(before, changed), new: only(after, changed) };
}

/** `Object.fromEntries` and spreads define properties, so that a column called `__proto__` is a column like any other. */
const only = (row: Row, columns: ReadonlySet<string>): Row =>
  Object.fromEntries(Object.entries(row).filter(([column]) => columns.has(column)));

const parsed = (change: Change): Net => ({
  table: change.table,
  op: change.op as NetOp,
  key: change.key,
  old: change.old === null ? null : parseRow(change.old),
  new: change.new === null ? null : parseRow(change.new),
  changedAt: change.changedAt,
});

const asChange = (net: Net, op: Op): Change => ({
  table: net.table,
  op,
  key: net.key,
  old: net.old === null ? null : rowText(net.old),
  new: net.new === null ? null : rowText(net.new),
  changedAt: net.changedAt,
});
