import { TomboloError } from "../../change/error.ts";
import type { Part } from "../../change/packet.ts";
import { type ApplySession, blockedBy } from "./apply-session.ts";
import { applyRow, describe, inSavepoint } from "./attempt.ts";
import { takeBackDeleted } from "./deleted-here.ts";
import { applySet, type ChangeSet, changeSets } from "./fast-path.ts";
import type { IncomingChange, IncomingTable } from "./incoming.ts";
import { park } from "./parked.ts";
import { isRowError } from "./row-error.ts";
import { UNIQUE_VIOLATION } from "./sqlstate.ts";
import { stampOriginalTimes } from "./stamp.ts";
import { applyTruncate } from "./truncate.ts";
import { applyPermutation } from "./unique-permutation.ts";

/**
 * Applies one part of a packet: sets of changes, one statement each; then, one by one, the changes whose rows are not what
 * they were based on. When the database refuses something, the part is done again with care: the refused changes are found by
 * halving, tried again after the others (their order may have been the problem), and what still fails is parked.
 */
export async function applyPart(session: ApplySession, tables: readonly IncomingTable[], part: Part): Promise<void> {
  let group: IncomingChange[] = [];
  for (const change of part) {
    const table = tables[change.table] as IncomingTable;
    if (change.op === "T") {
      await applyGroup(session, group);
      group = [];
      await applyTruncate(session, table, change);
      continue;
    }
    if (session.blocked.size > 0 && session.blocked.has(blockedBy(table.table.name, change.key))) {
      await park(session, table, change, { code: "BEHIND_PARKED", reason: "an earlier change of this row is parked" });
      continue;
    }
    try {
      group.push(table.incoming(change));
    } catch (error) {
      if (!(error instanceof TomboloError)) throw error;
      await park(session, table, change, { code: error.code, reason: error.message });
    }
  }
  await applyGroup(session, group);
}

async function applyGroup(session: ApplySession, group: readonly IncomingChange[]): Promise<void> {
  if (group.length === 0) return;
  const { clear, unclear } = await session.judgedMeanwhile.split(group);
  for (const { table, change } of unclear) session.outcome.wanted.push({ table: table.table.name, key: change.key });
  const sets = changeSets(clear);
  const refreshes = clear.filter((incoming) => incoming.change.op === "R");
  const unfit = await fast(session, sets);
  if (unfit === null) await withCare(session, sets, refreshes);
  else if (unfit.length > 0 || refreshes.length > 0) await oneByOne(session, [...unfit, ...refreshes]);
  await stampOriginalTimes(session, clear);
  for (const { table, change } of clear)
    if (change.op !== "D" && table.table.sequences.length > 0) session.outcome.inserted.add(table.table);
}

/** All sets at once, constraints at the end; null when the database refused any of it (and nothing of it was done). */
async function fast(session: ApplySession, sets: readonly ChangeSet[]): Promise<IncomingChange[] | null> {
  const unfit: IncomingChange[] = [];
  const counts: (() => void)[] = [];
  await session.client.query("savepoint part; set constraints all deferred");
  try {
    for (const set of sets) {
      const missed = await applyKnowing(session, set, set.changes);
      unfit.push(...missed);
      counts.push(() => session.outcome.count(set.op, set.changes.length - missed.length));
    }
    await session.client.query("set constraints all immediate; release savepoint part");
  } catch (error) {
    if (!isRowError(error)) throw error;
    await session.client.query("rollback to savepoint part; release savepoint part");
    return null;
  }
  for (const count of counts) count();
  return unfit;
}

/** Applies what fits and was not deleted here; answers the rest. */
async function applyKnowing(session: ApplySession, set: ChangeSet, changes: readonly IncomingChange[]): Promise<IncomingChange[]> {
  const missed = await applySet(session, set, changes);
  if (set.op !== "I") return missed;
  const unfit = new Set(missed);
  const inserted = missed.length === 0 ? changes : changes.filter((incoming) => !unfit.has(incoming));
  return [...missed, ...(await takeBackDeleted(session, set, inserted))];
}

/** As `fast`, but a refused change costs only itself. */
async function withCare(session: ApplySession, sets: readonly ChangeSet[], refreshes: readonly IncomingChange[]): Promise<void> {
  const refused: Refused[] = [];
  for (const set of sets) await halving(session, set, set.changes, refused);
  await oneByOne(session, refreshes, refused);
}

async function halving(session: ApplySession, set: ChangeSet, changes: readonly IncomingChange[], refused: Refused[]): Promise<void> {
  let unfit: IncomingChange[] = [];
  const error = await inSavepoint(session, async () => {
    unfit = await applyKnowing(session, set, changes);
  });
  if (error === null) {
    session.outcome.count(set.op, changes.length - unfit.length);
    await attemptEach(session, unfit, refused);
  } else if (changes.length === 1) {
    refused.push({ incoming: changes[0] as IncomingChange, error });
  } else {
    const middle = changes.length >> 1;
    await halving(session, set, changes.slice(0, middle), refused);
    await halving(session, set, changes.slice(middle), refused);
  }
}

interface Refused {
  readonly incoming: IncomingChange;
  readonly error: unknown;
}

/** Row by row; the refused ones again and again while any of them goes through; the rest is parked. */
async function oneByOne(session: ApplySession, changes: readonly IncomingChange[], refusedBefore: readonly Refused[] = []): Promise<void> {
  let refused: Refused[] = [...refusedBefore];
  await attemptEach(session, changes, refused);
  while (refused.length > 0) {
    const still: Refused[] = [];
    await attemptEach(
      session,
      refused.map(({ incoming }) => incoming),
      still,
    );
    if (still.length === refused.length) break;
    refused = still;
  }
  const circle = refused.filter(
    ({ incoming, error }) => incoming.change.op === "U" && (error as { code?: string }).code === UNIQUE_VIOLATION,
  );
  if (circle.length > 1) {
    const changes = circle.map(({ incoming }) => incoming);
    if ((await inSavepoint(session, () => applyPermutation(session, changes))) === null) {
      session.outcome.count("U", changes.length);
      refused = refused.filter((one) => !circle.includes(one));
    }
  }
  for (const { incoming, error } of refused) {
    const { code, reason } = describe(error);
    await park(session, incoming.table, incoming.change, { code, reason });
  }
}

async function attemptEach(session: ApplySession, changes: readonly IncomingChange[], refused: Refused[]): Promise<void> {
  for (const incoming of changes) {
    const error = await inSavepoint(session, () => applyRow(session, incoming));
    if (error !== null) refused.push({ incoming, error });
  }
}
