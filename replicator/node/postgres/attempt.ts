import { TomboloError } from "../../change/error.ts";
import type { Reference } from "../../change/shape.ts";
import { writtenRow } from "../references.ts";
import { type ApplySession, blockedBy } from "./apply-session.ts";
import { questionOf } from "./clash.ts";
import { resolveFromChild } from "./from-child.ts";
import { obeyParent, pendingQuestion } from "./from-parent.ts";
import type { IncomingChange, IncomingTable } from "./incoming.ts";
import { judgeTogether } from "./judge-together.ts";
import { LOOKED_AT_ONCE, lookAhead, type QuestionOf } from "./look-ahead.ts";
import { isRowError } from "./row-error.ts";

/** A change that the database refused. */
export interface Refused {
  readonly incoming: IncomingChange;
  readonly error: unknown;
}

/** One change, by looking at its row. */
export async function applyRow(session: ApplySession, incoming: IncomingChange): Promise<void> {
  const waits = waitsForParked(session, incoming);
  if (waits !== null) throw waits;
  const seen = session.late.get(incoming);
  // a change that was parked is judged by what its sender knew then
  const own = seen === undefined ? session : { ...session, lastSeen: { ...session.lastSeen, [incoming.table.rule.channel]: seen } };
  if (session.context.from === "child") await resolveFromChild(own, incoming);
  else await obeyParent(own, incoming);
}

/** The refusal of a row that refers, by a foreign key of its sender's, to one whose insert is parked; null for others. */
export function waitsForParked(session: ApplySession, { change, table }: Pick<IncomingChange, "change" | "table">): TomboloError | null {
  const { references = [] } = table.shape;
  if (session.waiting.isEmpty || references.length === 0 || change.new === null) return null;
  const own = blockedBy(table.table.name, change.key);
  const [found] = session.waiting
    .referredBy({ table: table.table.name, row: writtenRow(change), references })
    .filter(({ items }) => items.size > 1 || !items.has(own));
  if (found === undefined) return null;
  return refersToParked(table, found.reference);
}

export function refersToParked({ table }: IncomingTable, reference?: Reference): TomboloError {
  const which = reference === undefined ? "" : ` (${reference.columns.join(", ")}) to ${reference.table}`;
  return new TomboloError(`foreign key${which} of ${table.name}: the row that it refers to is not there, but parked`, {
    code: "FOREIGN_KEY_VIOLATION",
    kind: "operator",
  });
}

/** Null when it went through; the error, and nothing done, when the database refused it. Other errors are thrown. */
export async function inSavepoint(session: ApplySession, work: () => Promise<void>): Promise<unknown> {
  const restore = session.outcome.checkpoint();
  await session.client.query("savepoint attempt");
  try {
    await work();
  } catch (error) {
    if (!isRowError(error)) throw error;
    await session.client.query("rollback to savepoint attempt; release savepoint attempt");
    restore();
    return error;
  }
  await session.client.query("release savepoint attempt");
  return null;
}

/** Tries each by itself; answers those that were refused. Mostly none is: so each has a savepoint of its own only where one of many was. */
export async function attemptEach(session: ApplySession, changes: readonly IncomingChange[]): Promise<Refused[]> {
  const refused: Refused[] = [];
  if (session.gate.lags) await inSavepoint(session, () => session.gate.lockFirst(session, changes));
  const question = (incoming: IncomingChange) =>
    session.context.from === "child" ? questionOf(session, incoming, true) : pendingQuestion(session, incoming);
  for (let from = 0; from < changes.length; from += LOOKED_AT_ONCE) {
    const some = changes.slice(from, from + LOOKED_AT_ONCE);
    const together = async (): Promise<void> => {
      await lookAhead(session, some, question);
      const isFree = (incoming: IncomingChange): boolean => waitsForParked(session, incoming) === null;
      const judged = new Set(session.context.from === "child" ? some.filter(isFree) : []);
      for (const incoming of await judgeTogether(session, [...judged])) judged.delete(incoming);
      for (const incoming of some) if (!judged.has(incoming)) await applyRow(session, incoming);
    };
    const error = await inSavepoint(session, together);
    if (error !== null && some.length === 1) refused.push({ incoming: some[0] as IncomingChange, error });
    else if (error !== null) refused.push(...(await attemptAlone(session, some, question)));
  }
  return refused;
}

async function attemptAlone(session: ApplySession, changes: readonly IncomingChange[], question: QuestionOf): Promise<Refused[]> {
  const refused: Refused[] = [];
  await lookAhead(session, changes, question);
  for (const incoming of changes) {
    const error = await inSavepoint(session, () => applyRow(session, incoming));
    if (error !== null) refused.push({ incoming, error });
  }
  return refused;
}
