import type { ApplySession } from "./apply-session.ts";
import { resolveFromChild } from "./from-child.ts";
import { obeyParent } from "./from-parent.ts";
import type { IncomingChange } from "./incoming.ts";
import { isRowError } from "./row-error.ts";

/** One change, by looking at its row. */
export function applyRow(session: ApplySession, incoming: IncomingChange): void {
  if (session.context.from === "child") resolveFromChild(session, incoming);
  else obeyParent(session, incoming);
}

/** Null when it went through; the error, and nothing done, when the database refused it. Other errors are thrown. */
export function inSavepoint(session: ApplySession, work: () => void): unknown {
  const restore = session.outcome.checkpoint();
  session.connection.exec("savepoint attempt");
  try {
    work();
  } catch (error) {
    if (!isRowError(error)) throw error;
    session.connection.exec("rollback to attempt");
    session.connection.exec("release attempt");
    restore();
    return error;
  }
  session.connection.exec("release attempt");
  return null;
}
