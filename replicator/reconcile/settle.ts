import { TomboloError } from "../change/error.ts";
import type { KeyText } from "../node/digest.ts";
import type { ComparedLink } from "./compared-link.ts";
import type { ComparedTable } from "./compared-tables.ts";
import { type Difference, type DifferenceKind, NOTHING_DIFFERS, type Settled } from "./comparison.ts";
import { atCuts, type Cuts, type Opened } from "./cuts.ts";
import { type InFlight, inFlight, setAside } from "./in-flight.ts";
import { type CheckedRow, checkRows } from "./row-check.ts";
import { RowsAtOnce } from "./rows-at-once.ts";

export type Sleep = (ms: number, signal: AbortSignal) => Promise<unknown>;

/** Before each look. News of a row that is written all the time may be under way at every one of them. */
const WAITS_MS: readonly number[] = [0, 150, 300, 600, 1_000, 2_000, 3_000, 4_000];
/** Neither node has applied anything for so long: nobody carries anything over. A link on a busy machine rests for shorter times than this. */
const STILL_MS = 2_000;
/** So often must a row differ while nothing is under way. Once could be a row that a child is just asking for. */
const LOOKS = 2;
const ROWS_AT_ONCE = 500;
/** At the same cuts. */
const MOST_ROWS = 20_000;

/** A row that is being looked at. */
interface Candidate {
  differed: number;
}

/** What is known of one table's candidates. */
class TableCandidates {
  readonly open: Map<KeyText, Candidate>;
  readonly differences: Difference[] = [];
  readonly parked: KeyText[] = [];

  constructor(keys: Iterable<KeyText>) {
    this.open = new Map([...keys].map((key) => [key, { differed: 0 }]));
  }

  take(row: CheckedRow, { flight, aside }: { readonly flight: InFlight | undefined; readonly aside: ReadonlySet<KeyText> }): void {
    const candidate = this.open.get(row.key);
    if (candidate === undefined) return;
    if (row.isSame) this.open.delete(row.key);
    else if (aside.has(row.key)) {
      this.open.delete(row.key);
      this.parked.push(row.key);
    } else if (flight === "all" || flight?.has(row.key) === true) candidate.differed = 0;
    else if (++candidate.differed >= LOOKS) {
      this.open.delete(row.key);
      this.differences.push({ key: row.key, kind: kindOf(row) });
    }
  }
}

const kindOf = ({ parent, child }: CheckedRow): DifferenceKind =>
  parent === null ? "only_child" : child === null ? "only_parent" : "differs";

/**
 * Looks at rows that seemed to differ until each of them is equal, or differs although everything that either node knows of it has reached the other. A
 * row of which there is news at every look is told as unsettled, never as different; so are edits that a child has not sent yet. As many rows at once as there is room for.
 */
export async function settleCandidates(ends: ComparedLink, options: SettleOptions): Promise<ReadonlyMap<ComparedTable, Settled>> {
  const atOnce = new RowsAtOnce({ most: MOST_ROWS, characters: options.characters });
  const left = [...options.candidates].map(([table, keys]) => ({ table, keys: [...keys] }));
  const settled = new Map([...options.candidates.keys()].map((table) => [table, NOTHING_DIFFERS]));
  let { isSent = false } = options;
  while (left.length > 0) {
    const some = new Map<ComparedTable, TableCandidates>();
    for (let room = atOnce.next; room > 0 && left[0] !== undefined; ) {
      const { table, keys } = left[0];
      const taken = keys.splice(0, room);
      some.set(table, new TableCandidates(taken));
      room -= taken.length;
      if (keys.length === 0) left.shift();
    }
    for (const [table, found] of await settleSome(ends, some, { ...options, isSent, atOnce })) {
      settled.set(table, together(settled.get(table) ?? NOTHING_DIFFERS, found));
      // whoever carries it over was waited for
      if (found.unsettled > 0) isSent = false;
    }
  }
  return settled;
}

interface SettleOptions {
  readonly candidates: ReadonlyMap<ComparedTable, ReadonlySet<KeyText>>;
  /** Something was sent just now: whoever carries it over is waited for, however long neither node applies anything. */
  readonly isSent?: boolean;
  readonly signal: AbortSignal;
  readonly sleep: Sleep;
  /** For tests: see `RowsAtOnce`. */
  readonly characters?: number;
}

const together = (a: Settled, b: Settled): Settled => ({
  differences: [...a.differences, ...b.differences],
  unsettled: a.unsettled + b.unsettled,
  parked: a.parked + b.parked,
  undecided: [...a.undecided, ...b.undecided],
});

async function settleSome(
  ends: ComparedLink,
  all: ReadonlyMap<ComparedTable, TableCandidates>,
  options: Pick<SettleOptions, "signal" | "sleep"> & { readonly isSent: boolean; readonly atOnce: RowsAtOnce },
): Promise<ReadonlyMap<ComparedTable, Settled>> {
  let before = "";
  let stillMs = 0;
  for (const wait of WAITS_MS) {
    const open = new Map([...all].filter(([, candidates]) => candidates.open.size > 0));
    if (open.size === 0) break;
    if (wait > 0) await options.sleep(wait, options.signal);
    options.signal.throwIfAborted();
    const cuts = await look(ends, open, options.atOnce).catch(unlessPurged);
    if (cuts === null) continue;
    const now = applied(ends, cuts);
    stillMs = now === before ? stillMs + wait : 0;
    before = now;
    // the rest stays under way
    if (!options.isSent && stillMs >= STILL_MS && [...open.values()].every(nothingIsDoubtful)) break;
  }
  return new Map(
    [...all].map(([table, { differences, open, parked }]) => {
      const undecided = [...open.keys(), ...parked];
      return [table, { differences, unsettled: open.size, parked: parked.length, undecided } satisfies Settled];
    }),
  );
}

/** The log of one node was purged up to what the other has applied since its cut: nothing can be said now, and the next look is at newer cuts. */
function unlessPurged(error: unknown): null {
  if (error instanceof TomboloError && error.code === "POSITION_UNKNOWN") return null;
  throw error;
}

/** No row has differed only once so far. */
const nothingIsDoubtful = ({ open }: TableCandidates): boolean => [...open.values()].every(({ differed }) => differed === 0);

/** One look at every open candidate, all at the same two cuts. */
async function look(ends: ComparedLink, open: ReadonlyMap<ComparedTable, TableCandidates>, atOnce: RowsAtOnce): Promise<Cuts> {
  const tables = [...open.keys()];
  const aside = new Map<ComparedTable, ReadonlySet<KeyText>>();
  for (const table of tables) aside.set(table, await setAside(ends, table));
  const asked = tables.map((table) => [...(open.get(table)?.open.keys() ?? [])]);
  const work = async (opened: Opened): Promise<Cuts> => {
    const cuts = { parent: opened.parent.tick, child: opened.child.tick };
    const wanted = new Map(tables.map((table) => [table, new Set(open.get(table)?.open.keys())]));
    // at once: the logs are purged behind their readers
    const flight = await inFlight(ends, tables, { cuts, wanted });
    for (const [index, table] of tables.entries()) {
      const candidates = open.get(table) as TableCandidates;
      const keys = [...candidates.open.keys()];
      for (let at = 0; at < keys.length; at += ROWS_AT_ONCE) {
        const rows = await checkRows(ends, table, { opened, index, keys: keys.slice(at, at + ROWS_AT_ONCE) });
        atOnce.note(rows);
        for (const row of rows) candidates.take(row, { flight: flight.get(table), aside: aside.get(table) ?? new Set() });
      }
    }
    return cuts;
  };
  return atCuts(ends, tables, work, asked);
}

/** What each node had applied of the other's log. */
function applied({ parent, child }: ComparedLink, cuts: Cuts): string {
  const places = [cuts.parent.seen[child.name], cuts.child.seen[parent.name]];
  return JSON.stringify(places, (_, value: unknown) => (typeof value === "bigint" ? value.toString() : value));
}
