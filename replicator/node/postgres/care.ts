import { referredFirst, writtenRow } from "../references.ts";
import { applyAtOnce } from "./apply-at-once.ts";
import { applyKnowing } from "./apply-knowing.ts";
import type { ApplySession, Failure } from "./apply-session.ts";
import { attemptEach, inSavepoint, type Refused } from "./attempt.ts";
import { ConstraintReader } from "./constraints.ts";
import { mustNotDangle } from "./dangling.ts";
import { deadlocked } from "./deadlocked.ts";
import { insertedRows, referring, referringToRefused } from "./dependants.ts";
import { type ChangeSet, changeSets } from "./fast-path.ts";
import { handOver } from "./hand-over.ts";
import type { IncomingChange } from "./incoming.ts";
import { orphansAmong } from "./orphans.ts";
import { isShared, mayPass } from "./refusal.ts";
import { isRowError } from "./row-error.ts";

/**
 * Applies sets of which the database has refused something, so that a refused change costs only itself; answers those that stay refused.
 *
 * Rows that refer to one that is neither here nor brought are told at once, with what hangs on them. Where values change hands, all goes at
 * once. Otherwise culprits are found by halving, with deferred constraints looked at in the end; and where it is one of these that is
 * violated, with every constraint looked at after every statement.
 */
export async function withCare(
  session: ApplySession,
  sets: readonly ChangeSet[],
  refreshes: readonly IncomingChange[],
  failure: Failure,
): Promise<Refused[]> {
  const constraints = new ConstraintReader(session.client);
  const orphans = await orphansAmong(session, sets, constraints);
  if (orphans.length > 0) {
    const gone = new Set(orphans.map(({ incoming }) => incoming));
    const left = changeSets(sets.flatMap(({ changes }) => changes.filter((incoming) => !gone.has(incoming))));
    const done = await applyAtOnce(session, left);
    if (!("unfit" in done)) return [...orphans, ...(await withCare(session, left, refreshes, done))];
    const looked = [...done.unfit, ...refreshes];
    return [...orphans, ...(looked.length === 0 ? [] : await oneByOne(session, looked))];
  }
  if (isShared(failure.error) && sets.some(({ op }) => op !== "I")) {
    const unfit = await allHandedOver(session, sets, constraints);
    if (unfit !== null) return settled(session, await attemptEach(session, [...unfit, ...refreshes]), false, constraints);
  }
  if (!failure.atEnd) {
    const refused = await deferred(session, () => piecemeal(session, sets, refreshes, constraints));
    if (refused !== null) return refused;
  }
  await session.client.query("set constraints all immediate");
  return piecemeal(session, sets, refreshes, constraints);
}

/** Each by itself, and then together where they only stand in each other's way; answers those that stay refused. */
export async function oneByOne(session: ApplySession, changes: readonly IncomingChange[]): Promise<Refused[]> {
  const refused = await attemptEach(session, changes);
  if (refused.length === 0) return refused;
  return settled(session, refused, refused.length < changes.length, new ConstraintReader(session.client));
}

async function allHandedOver(
  session: ApplySession,
  sets: readonly ChangeSet[],
  constraints: ConstraintReader,
): Promise<IncomingChange[] | null> {
  let unfit: IncomingChange[] | null = null;
  const changes = sets.flatMap((set) => set.changes);
  const done = await deferred(session, async () => {
    unfit = await handOver(session, changes, constraints);
    return [];
  });
  return done === null ? null : unfit;
}

/** Null, with nothing done, when a deferred constraint is violated in the end. */
async function deferred(session: ApplySession, work: () => Promise<Refused[]>): Promise<Refused[] | null> {
  const restore = session.outcome.checkpoint();
  await session.client.query("savepoint care; set constraints all deferred");
  const refused = await work();
  try {
    await session.client.query("set constraints all immediate; release savepoint care");
    return refused;
  } catch (error) {
    if (!isRowError(error)) throw error;
    await session.client.query("rollback to savepoint care; release savepoint care");
    restore();
    return null;
  }
}

async function piecemeal(
  session: ApplySession,
  sets: readonly ChangeSet[],
  refreshes: readonly IncomingChange[],
  constraints: ConstraintReader,
): Promise<Refused[]> {
  const refused: Refused[] = [];
  for (const set of sets) {
    const doomed = referringToRefused(refused, set.changes);
    refused.push(...doomed);
    const hopeless = new Set(doomed.map(({ incoming }) => incoming));
    await halving(session, set, hopeless.size === 0 ? set.changes : set.changes.filter((incoming) => !hopeless.has(incoming)), refused);
  }
  refused.push(...(await attemptEach(session, refreshes)));
  return settled(session, refused, true, constraints);
}

async function halving(session: ApplySession, set: ChangeSet, changes: readonly IncomingChange[], refused: Refused[]): Promise<void> {
  let unfit: IncomingChange[] = [];
  const [first] = changes;
  if (first === undefined) return;
  const error = await inSavepoint(session, async () => {
    unfit = await applyKnowing(session, set, changes);
    await mustNotDangle(session, set.table, { columns: set.columns, rows: changes });
  });
  if (error === null) {
    session.outcome.count(set.op, changes.length - unfit.length);
    refused.push(...(await attemptEach(session, unfit)));
  } else if (changes.length === 1) {
    // someone who looks at the row may know better: two edits may only be wrong together
    if (set.op === "I" && mayPass(error)) refused.push({ incoming: first, error });
    else refused.push(...(await attemptEach(session, changes)));
  } else {
    const middle = changes.length >> 1;
    await halving(session, set, changes.slice(0, middle), refused);
    await halving(session, set, changes.slice(middle), refused);
  }
}

/**
 * Refused changes again, in an order that foreign keys like, and then those together that wait for one another, while any goes through.
 * `moved`: something else went through since they were refused.
 */
async function settled(
  session: ApplySession,
  refused: readonly Refused[],
  moved: boolean,
  constraints: ConstraintReader,
): Promise<Refused[]> {
  const final: Refused[] = [];
  let open: readonly Refused[] = refused;
  for (let again = moved; ; again = true) {
    final.push(...open.filter(({ error }) => !mayPass(error)));
    open = open.filter(({ error }) => mayPass(error));
    const before = open.length;
    if (again) open = await attemptInOrder(session, open);
    const through = await throughTogether(session, open, constraints);
    open = open.filter(({ incoming }) => !through.has(incoming));
    if (open.length === 0 || open.length === before) return [...final, ...open];
  }
}

/** Those that others refer to first; what refers to a row that stays refused need not be tried. */
async function attemptInOrder(session: ApplySession, open: readonly Refused[]): Promise<Refused[]> {
  const errors = new Map(open.map((one) => [one.incoming, one]));
  const rows = insertedRows(open.map(({ incoming }) => incoming));
  const still: Refused[] = [];
  for (const incoming of referredFirst([...errors.keys()], referring)) {
    const hangs = rows.referredBy(referring(incoming)).some(({ items }) => items.size > 1 || !items.has(incoming));
    const [refused] = hangs ? [errors.get(incoming) as Refused] : await attemptEach(session, [incoming]);
    if (refused !== undefined) still.push(refused);
    else rows.remove(incoming.table.table.name, writtenRow(incoming.change), incoming);
  }
  return still;
}

async function throughTogether(
  session: ApplySession,
  open: readonly Refused[],
  constraints: ConstraintReader,
): Promise<Set<IncomingChange>> {
  const may = open.filter(({ error }) => mayPass(error));
  const together = await deadlocked(session, may, constraints);
  const unfit = together.length === 0 ? null : await handOver(session, together, constraints);
  return new Set(unfit === null ? [] : together.filter((incoming) => !unfit.includes(incoming)));
}
