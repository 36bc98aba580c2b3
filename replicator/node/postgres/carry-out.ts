import type { Verdict } from "../../change/verdict.ts";
import type { ApplySession } from "./apply-session.ts";
import type { CapturedTable } from "./captured-tables.ts";
import type { TextRow } from "./incoming.ts";
import { isRowError } from "./row-error.ts";
import { bringTo } from "./rows.ts";
import { CHECK_VIOLATION, NOT_NULL_VIOLATION } from "./sqlstate.ts";

/** A row of this node, locked, that a verdict is about. */
export interface JudgedRow {
  readonly table: CapturedTable;
  readonly key: TextRow;
  readonly current: TextRow | null;
}

/**
 * Makes the row what the verdict says. A row that is made of both sides' edits is tried in a savepoint, with every constraint checked at
 * once; where the database refuses it, what stands in for it is carried out. Answers the verdict that was; null when someone inserted
 * the row while nothing was there to lock. Throws the database's error when the row cannot be as it was decided.
 */
export async function carryOut(session: ApplySession, row: JudgedRow, verdict: Verdict): Promise<Verdict | null> {
  const { client } = session;
  const { ifRefused } = verdict;
  const write = (result: Verdict["result"]): Promise<boolean> =>
    bringTo(session, row.table, row.key, row.current, result as TextRow | null);
  if (ifRefused === undefined) return (await write(verdict.result)) ? verdict : null;
  await client.query("savepoint combined");
  try {
    const done = await write(verdict.result);
    await client.query("set constraints all immediate; release savepoint combined");
    return done ? verdict : null;
  } catch (error) {
    const { code = "", constraint } = error as { code?: string; constraint?: string };
    const byCheck = code === CHECK_VIOLATION || code === NOT_NULL_VIOLATION;
    if (!isRowError(error) || (ifRefused.by === "check" && !byCheck)) throw error;
    await client.query("rollback to savepoint combined; release savepoint combined");
    return carryOut(session, row, because(ifRefused.verdict, constraint));
  }
}

function because(verdict: Verdict, constraint: string | undefined): Verdict {
  if (verdict.conflict === null) return verdict;
  const what = constraint === undefined ? "The database refused the combined row." : `Constraint ${constraint} refused the combined row.`;
  return { ...verdict, conflict: { ...verdict.conflict, reason: `${what} ${verdict.conflict.reason}` } };
}
