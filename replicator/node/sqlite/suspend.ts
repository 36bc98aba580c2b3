import { applicationTriggers } from "./capture-plan.ts";
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
