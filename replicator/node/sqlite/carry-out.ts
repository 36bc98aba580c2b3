import type { Row } from "../../change/value.ts";
import type { Verdict } from "../../change/verdict.ts";
import type { ApplySession } from "./apply-session.ts";
import { codeOf, isRowError } from "./row-error.ts";
import type { Bindable, RowTable } from "./rows.ts";
import { bringTo } from "./write-row.ts";

/** A row of this node that a verdict is about. */
export interface JudgedRow {
  readonly table: RowTable;
  readonly key: readonly Bindable[];
  readonly current: Row | null;
}

/**
 * Makes the row what the verdict says. A row that is made of both sides' edits is tried in a savepoint; where the database refuses it,
 * what stands in for it is carried out. Answers the verdict that was. Throws the database's error when the row cannot be as it was decided.
 */
export function carryOut(session: ApplySession, row: JudgedRow, verdict: Verdict): Verdict {
  const { connection } = session;
  const { ifRefused } = verdict;
  const write = (): void => bringTo(connection, row.table, { key: row.key, current: row.current, wanted: verdict.result });
  if (ifRefused === undefined) {
    write();
    return verdict;
  }
  connection.exec("savepoint combined");
  try {
    write();
    connection.exec("release combined");
    return verdict;
  } catch (error) {
    const code = codeOf(error);
    const byCheck = code === "CHECK_VIOLATION" || code === "NOT_NULL_VIOLATION";
    if (!isRowError(error) || (ifRefused.by === "check" && !byCheck)) throw error;
    connection.exec("rollback to combined");
    connection.exec("release combined");
    return carryOut(session, row, because(ifRefused.verdict, code));
  }
}

function because(verdict: Verdict, code: string): Verdict {
  if (verdict.conflict === null) return verdict;
  return {
    ...verdict,
    conflict: { ...verdict.conflict, reason: `The database refused the combined row (${code}). ${verdict.conflict.reason}` },
  };
}
