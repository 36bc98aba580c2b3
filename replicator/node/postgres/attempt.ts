import { TomboloError } from "../../change/error.ts";
import type { ApplySession } from "./apply-session.ts";
import { resolveFromChild } from "./from-child.ts";
import { obeyParent } from "./from-parent.ts";
import type { IncomingChange } from "./incoming.ts";
import { isRowError } from "./row-error.ts";

/** One change, by looking at its row. */
export async function applyRow(session: ApplySession, incoming: IncomingChange): Promise<void> {
  if (session.context.from === "child") await resolveFromChild(session, incoming);
  else await obeyParent(session, incoming);
}

/** Null when it went through; the error, and nothing done, when the database refused it. Other errors are thrown. */
export async function inSavepoint(session: ApplySession, work: () => Promise<void>): Promise<unknown> {
  await session.client.query("savepoint attempt");
  try {
    await work();
  } catch (error) {
    if (!isRowError(error)) throw error;
    await session.client.query("rollback to savepoint attempt; release savepoint attempt");
    return error;
  }
  await session.client.query("release savepoint attempt");
  return null;
}

/** Code and reason for a person: which rule refused it, never the values. */
export function describe(error: unknown): { code: string; reason: string } {
  if (error instanceof TomboloError) return { code: error.code, reason: error.message };
  const {
    code = "UNKNOWN",
    constraint,
    column,
    table,
    message = "",
  } = error as {
    code?: string;
    constraint?: string;
    column?: string;
    table?: string;
    message?: string;
  };
  const where = [table && `table ${table}`, constraint && `constraint ${constraint}`, column && `column ${column}`]
    .filter(Boolean)
    .join(", ");
  return { code: `SQLSTATE_${code}`, reason: where === "" ? message : `${where}: ${message}` };
}
