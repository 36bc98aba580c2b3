import { setImmediate as breathe } from "node:timers/promises";
import type { Change } from "../../change/change.ts";
import { TomboloError } from "../../change/error.ts";
import type { Part } from "../../change/packet.ts";
import { type ApplySession, blockedBy } from "./apply-session.ts";
import { applyRow, describe, inSavepoint } from "./attempt.ts";
import { takeBackDeleted } from "./deleted-here.ts";
import { applySet, type ChangeSet, changeSets, copySet, makeReady } from "./fast-path.ts";
import type { IncomingChange, IncomingTable } from "./incoming.ts";
import { park } from "./parked.ts";
import { isRowError } from "./row-error.ts";
import { UNIQUE_VIOLATION } from "./sqlstate.ts";
import { stampOriginalTimes } from "./stamp.ts";
import { applyTruncate } from "./truncate.ts";
import { applyPermutation } from "./unique-permutation.ts";

/** Changes between two truncates, read and sorted. */
interface Segment {
  readonly group: readonly IncomingChange[];
  readonly sets: readonly ChangeSet[];
  /** What has no place here. */
  readonly misfits: readonly { readonly table: IncomingTable; readonly change: Change; readonly error: TomboloError }[];
  /** What the segment ends with. */
  readonly truncate: { readonly table: IncomingTable; readonly change: Change } | null;
}

/** A part made ready for the database, without asking it anything. */
export type PreparedPart = readonly Segment[];

/** Changes read before others get their turn: a link on the same thread shall not wait for a large part, nor an answer that has come. */
const STRETCH = 1000;

/**
 * Makes parts ready. Called for the next part while the database works on the one before (see `readAhead`): otherwise one of the two
 * always waits for the other.
 */
export async function* prepareParts(tables: readonly IncomingTable[], parts: AsyncIterable<Part>): AsyncGenerator<PreparedPart> {
  for await (const part of parts) {
    await breathe();
    const segments: Segment[] = [];
    for (let start = 0; start < part.length; ) {
      const truncate = part.findIndex((change, at) => at >= start && change.op === "T");
      const end = truncate < 0 ? part.length : truncate;
      segments.push(await prepareSegment(tables, part.slice(start, end), part[truncate]));
      start = end + 1;
    }
    yield segments;
  }
}

async function prepareSegment(tables: readonly IncomingTable[], changes: Part, truncate: Change | undefined): Promise<Segment> {
  const group: IncomingChange[] = [];
  const misfits: { table: IncomingTable; change: Change; error: TomboloError }[] = [];
  for (const [at, change] of changes.entries()) {
    if (at % STRETCH === STRETCH - 1) await breathe();
    const table = tables[change.table] as IncomingTable;
    try {
      group.push(table.incoming(change));
    } catch (error) {
      if (!(error instanceof TomboloError)) throw error;
      misfits.push({ table, change, error });
    }
  }
  const sets = changeSets(group);
  for (const set of sets) {
    makeReady(set);
    if (set.changes.length > STRETCH) await breathe();
  }
  const at = truncate && { table: tables[truncate.table] as IncomingTable, change: truncate };
  return { group, sets, misfits, truncate: at ?? null };
}

/**
 * Applies one part of a packet: sets of changes, one statement each; then, one by one, the changes whose rows are not what
 * they were based on. When the database refuses something, the part is done again with care: the refused changes are found by
 * halving, tried again after the others (their order may have been the problem), and what still fails is parked.
 */
export async function applyPart(session: ApplySession, part: PreparedPart): Promise<void> {
  for (const { group, sets, misfits, truncate } of part) {
    for (const { table, change, error } of misfits) {
      if (isBlocked(session, table, change)) await parkBehind(session, table, change);
      else await park(session, table, change, { code: error.code, reason: error.message });
    }
    const free: IncomingChange[] = [];
    for (const incoming of session.blocked.size > 0 ? group : []) {
      if (isBlocked(session, incoming.table, incoming.change)) await parkBehind(session, incoming.table, incoming.change);
      else free.push(incoming);
    }
    if (session.blocked.size === 0 || free.length === group.length) await applyGroup(session, group, sets);
    else await applyGroup(session, free, changeSets(free));
    if (truncate !== null) await applyTruncate(session, truncate.table, truncate.change);
  }
}

const isBlocked = ({ blocked }: ApplySession, { table }: IncomingTable, { key }: Change): boolean =>
  blocked.size > 0 && blocked.has(blockedBy(table.name, key));

const parkBehind = (session: ApplySession, table: IncomingTable, change: Change): Promise<void> =>
  park(session, table, change, { code: "BEHIND_PARKED", reason: "an earlier change of this row is parked" });

async function applyGroup(session: ApplySession, group: readonly IncomingChange[], sorted: readonly ChangeSet[]): Promise<void> {
  if (group.length === 0) return;
  const { clear, unclear } = await session.judgedMeanwhile.split(group);
  for (const { table, change } of unclear) session.outcome.wanted.push({ table: table.table.name, key: change.key });
  const sets = unclear.length === 0 ? sorted : changeSets(clear);
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
      const missed = (await copySet(session, set))
        ? await takeBackDeleted(session, set, set.changes)
        : await applyKnowing(session, set, set.changes);
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
