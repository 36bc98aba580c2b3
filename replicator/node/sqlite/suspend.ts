import type { ApplySession } from "./apply-session.ts";
import { applicationTriggers, ourTriggers } from "./capture-plan.ts";
import type { Connection } from "./connection.ts";
import { quote } from "./identifier.ts";
import { moveBehind } from "./verify.ts";

/**
 * Takes the application's triggers off some tables for the length of the applying transaction, and answers what puts them back exactly as
 * they were: what they did when the change was made comes with the packet, and must not be done a second time here. SQLite has no switch
 * for that; DDL is transactional, so nobody else ever sees the tables without.
 */
export function suspendTriggers(connection: Connection, locals: readonly string[]): () => void {
  const suspended = locals
    .map((local) => ({ local, triggers: applicationTriggers(connection, local) }))
    .filter(({ triggers }) => triggers.length > 0);
  for (const { triggers } of suspended) for (const { name } of triggers) connection.exec(`drop trigger ${quote(name)}`);
  return () => {
    for (const { local, triggers } of suspended) {
      for (const { sql } of triggers) connection.exec(sql);
      moveBehind(connection, local);
    }
  };
}

/**
 * The same with the capture of a table's inserts, where nobody reads what is applied: the triggers would log nothing, and still take a third of the time of a row.
 * Whoever suspends them puts them back before the transaction's end.
 */
export const suspendInsertCapture = (session: Pick<ApplySession, "connection" | "peer">, local: string): (() => void) =>
  suspendOurs(session, local, /_(before_)?insert$/);

/** From so many changes of a table on it pays to take its capture off and put it on again; all who have the file open then read its schema anew. */
export const MANY_CHANGES = 10_000;

/** All of a table's capture, for a packet that has many changes of it. */
export const suspendCapture = (session: Pick<ApplySession, "connection" | "peer">, local: string): (() => void) =>
  suspendOurs(session, local, /./);

function suspendOurs({ connection, peer }: Pick<ApplySession, "connection" | "peer">, local: string, which: RegExp): () => void {
  if (peer.forwards) return () => undefined;
  const triggers = ourTriggers(connection, local).filter(({ name }) => which.test(name));
  for (const { name } of triggers) connection.exec(`drop trigger ${quote(name)}`);
  return () => {
    for (const { sql } of triggers) connection.exec(sql);
  };
}
