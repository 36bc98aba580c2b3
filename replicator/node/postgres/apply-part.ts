import { setImmediate as breathe } from "node:timers/promises";
import type { Change } from "../../change/change.ts";
import { TomboloError } from "../../change/error.ts";
import type { Part } from "../../change/packet.ts";
import { applyAtOnce } from "./apply-at-once.ts";
import { type ApplySession, blockedBy } from "./apply-session.ts";
import type { Refused } from "./attempt.ts";
import { oneByOne, withCare } from "./care.ts";
import { waitingForParked, withoutDependants } from "./dependants.ts";
import { type ChangeSet, changeSets, makeReady } from "./fast-path.ts";
import type { IncomingChange, IncomingTable } from "./incoming.ts";
import { applyLate } from "./late.ts";
import { park, unapplied } from "./parked.ts";
import { stampOriginalTimes } from "./stamp.ts";
import { applyTruncate } from "./truncate.ts";

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

export const changesIn = (part: PreparedPart): number => part.reduce((sum, { group, misfits }) => sum + group.length + misfits.length, 0);

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
      const incoming = table.incoming(change);
      // nothing is left of an update of columns that stay at home here
      if (change.op !== "U" || incoming.images.new?.layout.names.length !== 0) group.push(incoming);
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
 * Applies one part of a packet: first rows that have a parked change, each as the net of that and the new one; then sets of changes, one
 * statement each; then, one by one, the changes whose rows are not what they were based on. When the database refuses something, the
 * part is done again with care, and what is still refused is parked with what refers to it.
 */
export async function applyPart(session: ApplySession, part: PreparedPart): Promise<void> {
  for (const { group, sets, misfits, truncate } of part) {
    const late = session.blocked.size === 0 ? [] : [...misfits, ...group].filter((one) => isBlocked(session, one));
    if (late.length > 0) await applyLate(session, late);
    await park(
      session,
      misfits.filter((misfit) => !late.includes(misfit)),
    );
    if (late.length === 0) await applyGroup(session, group, sets);
    else
      await applyGroup(
        session,
        group.filter((incoming) => !late.includes(incoming)),
      );
    if (truncate !== null) await applyTruncate(session, truncate.table, truncate.change);
  }
}

const isBlocked = ({ blocked }: ApplySession, { table, change }: Pick<IncomingChange, "table" | "change">): boolean =>
  blocked.has(blockedBy(table.table.name, change.key));

async function applyGroup(session: ApplySession, group: readonly IncomingChange[], sorted?: readonly ChangeSet[]): Promise<void> {
  if (group.length === 0) return;
  await session.locksAhead.lock(session, group);
  const { clear, unclear } = await session.judgedMeanwhile.split(group);
  for (const { table, change } of unclear) session.outcome.wanted.push({ table: table.table.name, key: change.key });
  const refused = await applyAll(session, clear, unclear.length === 0 ? sorted : undefined);
  await park(session, refused.map(unapplied));
  await stampOriginalTimes(session, clear);
  for (const { table, change } of clear)
    if (change.op !== "D" && table.table.sequences.length > 0) session.outcome.inserted.add(table.table);
}

/** Answers what is refused after all. `sorted`: the sets of the changes, where they have been made ready. */
export async function applyAll(
  session: ApplySession,
  changes: readonly IncomingChange[],
  sorted?: readonly ChangeSet[],
): Promise<readonly Refused[]> {
  const waiting = waitingForParked(session, changes);
  const kept = new Set(waiting.map(({ incoming }) => incoming));
  const free = kept.size === 0 ? changes : changes.filter((incoming) => !kept.has(incoming));
  const { inside, others } = await session.scope.split(free);
  const sets = inside.length === changes.length && sorted !== undefined ? sorted : changeSets(inside);
  // rows that must be looked at before anything is done
  const toLookAt = new Set([...others, ...free.filter((incoming) => incoming.change.op === "R")]);
  const done = await applyAtOnce(session, sets);
  if ("unfit" in done) {
    const looked = [...done.unfit, ...toLookAt];
    return looked.length === 0 ? waiting : [...waiting, ...(await oneByOne(session, looked))];
  }
  const refused = await withoutDependants(session, free, (left) => {
    const ready = left === free ? sets : changeSets(left.filter((incoming) => !toLookAt.has(incoming)));
    return withCare(
      session,
      ready,
      left.filter((incoming) => toLookAt.has(incoming)),
      done,
    );
  });
  return [...waiting, ...refused];
}
