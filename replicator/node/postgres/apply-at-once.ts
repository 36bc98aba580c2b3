import { applyKnowing } from "./apply-knowing.ts";
import type { ApplySession, AtOnceDone, Failure } from "./apply-session.ts";
import { mustNotDangle } from "./dangling.ts";
import { takeBackDeleted } from "./deleted-here.ts";
import { type ChangeSet, copySet, stillHere } from "./fast-path.ts";
import type { IncomingChange } from "./incoming.ts";
import { isRowError } from "./row-error.ts";

/** All sets at once, constraints at the end: what did not fit; or why the database refused any of it, and nothing of it was done. */
export async function applyAtOnce(
  session: ApplySession,
  sets: readonly ChangeSet[],
): Promise<{ readonly unfit: readonly IncomingChange[] } | Failure> {
  const { atOnce } = session;
  const done = (atOnce?.sets === sets ? await atOnce.done() : null) ?? (await stepByStep(session, sets));
  if (!("unfit" in done)) return done;
  const unfit: IncomingChange[] = [];
  for (const [index, set] of sets.entries()) {
    const left = await withoutGone(session, set, done.unfit[index] ?? []);
    session.outcome.count(set.op, set.changes.length - left.length);
    unfit.push(...left);
  }
  return { unfit };
}

/**
 * There is nothing to judge or to do about a deleted row that is not here, whatever the reason. There may be many: a row that was made and
 * deleted between two looks at the log travels as a deletion.
 */
async function withoutGone(session: ApplySession, set: ChangeSet, unfit: readonly IncomingChange[]): Promise<readonly IncomingChange[]> {
  if (set.op !== "D" || unfit.length === 0) return unfit;
  return stillHere(session, set, unfit);
}

async function stepByStep(session: ApplySession, sets: readonly ChangeSet[]): Promise<AtOnceDone> {
  const unfit: (readonly IncomingChange[])[] = [];
  let atEnd = false;
  await session.client.query("savepoint part; set constraints all deferred");
  try {
    for (const set of sets) {
      const missed = (await copySet(session, set))
        ? await takeBackDeleted(session, set, set.changes)
        : await applyKnowing(session, set, set.changes);
      unfit.push(missed);
    }
    for (const set of sets) await mustNotDangle(session, set.table, { columns: set.columns, rows: set.changes });
    atEnd = true;
    await session.client.query("set constraints all immediate; release savepoint part");
  } catch (error) {
    if (!isRowError(error)) throw error;
    await session.client.query("rollback to savepoint part; release savepoint part");
    return { error, atEnd };
  }
  return { unfit };
}
