import type { TableName } from "../../change/names.ts";
import { type Referring, referredFirst, writtenRow } from "../references.ts";
import type { ApplySession } from "./apply-session.ts";
import { attempt, attemptFast, attemptInserts, type Refused } from "./attempt.ts";
import { deadlocked } from "./deadlocked.ts";
import { insertedRows, referring } from "./dependants.ts";
import { type FastPath, rowsAtOnce } from "./fast-path.ts";
import { handOver } from "./hand-over.ts";
import type { IncomingChange } from "./incoming.ts";
import { mayPass } from "./row-error.ts";

/** What changes are applied with. */
export interface Tools {
  readonly fast: FastPath;
  /** Tables such that those that are referred to come first. */
  readonly order: readonly TableName[];
  /** Those with foreign keys that SQLite checks at the commit only; usually none. */
  readonly deferred: ReadonlySet<TableName>;
}

/**
 * Applies inserts and updates, parents first, then deletes, children first; then those whose rows are not what they were based on, one by one;
 * then, as long as that helps, what the database refused the first time, since the order may have been the problem, or the changes may
 * wait for each other. Answers what stays refused.
 */
export function applyEach(session: ApplySession, changes: readonly IncomingChange[], tools: Tools): Refused[] {
  const missed: IncomingChange[] = [];
  for (const bunch of bunches(session, inOrder(changes, tools.order))) {
    if (bunch.length > 1 && attemptInserts(session, tools.fast, bunch)) continue;
    for (const incoming of bunch) if (attemptFast(session, tools.fast, incoming) !== true) missed.push(incoming);
  }
  // a row may be free only now that others were deleted
  const refused = attemptEach(session, tools, missed);
  return refused.length === 0 ? refused : settled(session, tools, refused, refused.length < changes.length);
}

function attemptEach(session: ApplySession, { fast }: Tools, changes: readonly IncomingChange[]): Refused[] {
  const refused: Refused[] = [];
  for (const incoming of changes) {
    const error = attempt(session, fast, incoming);
    if (error !== null) refused.push({ incoming, error });
  }
  return refused;
}

/**
 * Refused changes again, in an order that foreign keys like, and then those together that wait for one another, while any goes through.
 * `moved`: something else went through, perhaps since they were refused.
 */
function settled(session: ApplySession, tools: Tools, refused: readonly Refused[], moved: boolean): Refused[] {
  const final: Refused[] = [];
  let open: readonly Refused[] = refused;
  for (let again = moved; ; again = true) {
    final.push(...open.filter(({ error }) => !mayPass(error)));
    open = open.filter(({ error }) => mayPass(error));
    const before = open.length;
    if (again) open = attemptInOrder(session, tools, open);
    const through = throughTogether(session, tools, open);
    open = open.filter(({ incoming }) => !through.has(incoming));
    if (open.length === 0 || open.length === before) return [...final, ...open];
  }
}

/** Those that others refer to first; what refers to a row that stays refused need not be tried. */
function attemptInOrder(session: ApplySession, tools: Tools, open: readonly Refused[]): Refused[] {
  const errors = new Map(open.map((one) => [one.incoming, one]));
  const of = (incoming: IncomingChange): Referring => referring(session, incoming);
  const rows = insertedRows(session, [...errors.keys()]);
  const still: Refused[] = [];
  for (const incoming of referredFirst([...errors.keys()], of)) {
    const hangs = rows.referredBy(of(incoming)).some(({ items }) => items.size > 1 || !items.has(incoming));
    const [refused] = hangs ? [errors.get(incoming) as Refused] : attemptEach(session, tools, [incoming]);
    if (refused !== undefined) still.push(refused);
    else rows.remove(incoming.table.name, writtenRow(incoming.change), incoming);
  }
  return still;
}

function throughTogether(session: ApplySession, tools: Tools, open: readonly Refused[]): ReadonlySet<IncomingChange> {
  const together = deadlocked(
    session,
    open.filter(({ error }) => mayPass(error)),
  );
  return together.length > 0 && handOver(session, [...inOrder(together, tools.order)]) ? new Set(together) : new Set();
}

/** As many inserts that stand one after the other as one statement takes; all else one by one. What is logged for others tells the time of each change. */
function* bunches(session: ApplySession, changes: Iterable<IncomingChange>): Generator<readonly IncomingChange[]> {
  let bunch: IncomingChange[] = [];
  const fits = ({ change, new: row }: IncomingChange): boolean => {
    const [first] = bunch;
    return first === undefined || (first.new?.set === row?.set && (!session.peer.forwards || first.change.changedAt === change.changedAt));
  };
  for (const incoming of changes) {
    const { change, new: row } = incoming;
    const most = change.op === "I" && row !== null ? rowsAtOnce(row.set) : 1;
    if (most === 1 || !fits(incoming)) {
      for (const one of bunch) yield [one];
      bunch = [];
    }
    if (most === 1) yield [incoming];
    else if (bunch.push(incoming) === most) {
      yield bunch;
      bunch = [];
    }
  }
  for (const one of bunch) yield [one];
}

/** Upserts by table, parents first, in log order; then deletes, children first, the youngest first. */
export function* inOrder(changes: readonly IncomingChange[], order: readonly TableName[]): Generator<IncomingChange> {
  if (order.length === 1 && changes.every(({ change }) => change.op !== "D")) {
    yield* changes;
    return;
  }
  const upserts = new Map<TableName, IncomingChange[]>();
  const deletes = new Map<TableName, IncomingChange[]>();
  for (const incoming of changes) {
    const lists = incoming.change.op === "D" ? deletes : upserts;
    const list = lists.get(incoming.table.name);
    if (list === undefined) lists.set(incoming.table.name, [incoming]);
    else list.push(incoming);
  }
  for (const table of order) yield* upserts.get(table) ?? [];
  for (const table of order.toReversed()) yield* (deletes.get(table) ?? []).toReversed();
}
