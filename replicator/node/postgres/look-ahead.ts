import type { ApplySession, Looked } from "./apply-session.ts";
import type { CapturedTable } from "./captured-tables.ts";
import { changesSince, type LogEntry, type LogQuestion } from "./concurrent-changes.ts";
import { byTable, type IncomingChange, type TextRow } from "./incoming.ts";
import { isRowError } from "./row-error.ts";
import { lockRows, normaliseAll } from "./rows.ts";

/** So many rows are locked, and so much of the log is held, ahead of what they are wanted for. */
export const LOOKED_AT_ONCE = 200;

/** What judging a change has to know of the log; null where nothing. */
export type QuestionOf = (incoming: IncomingChange) => LogQuestion | null;

/**
 * Asks for many changes at once what judging each of them asks: their values as this node prints them, their rows, locked, and what the log holds of those. By itself each
 * would read the log from where its sender has it. What cannot be asked for all is asked where it is wanted.
 */
export async function lookAhead(session: ApplySession, changes: readonly IncomingChange[], question: QuestionOf): Promise<void> {
  // a change that was parked is judged by what its sender knew then
  const tables = byTable(changes.filter((incoming) => !session.late.has(incoming)));
  for (const [table, own] of tables) if (own.length > 1) await lookAtTable(session, table, { changes: own, question });
}

async function lookAtTable(
  session: ApplySession,
  table: CapturedTable,
  { changes, question }: { readonly changes: readonly IncomingChange[]; readonly question: QuestionOf },
): Promise<void> {
  const { client } = session;
  await client.query("savepoint ahead");
  try {
    const keys = await normaliseAll(
      session,
      table,
      changes.map(({ key }) => key),
    );
    const [before, after] = [await imagesOf(session, table, changes, "old"), await imagesOf(session, table, changes, "new")];
    const rows = await lockRows(
      session,
      table,
      keys.map(({ row }) => row),
    );
    await session.gate.complete();
    const asked = question(changes[0] as IncomingChange);
    const texts = keys.flatMap(({ text }, at) => (rows[at] === null ? [] : [text]));
    const log =
      asked === null || texts.length === 0 ? new Map<string, LogEntry[]>() : await changesSince(session, { table, keys: texts, ...asked });
    for (const [at, incoming] of changes.entries()) {
      const { row: key, text: canonical } = keys[at] as { row: TextRow; text: string };
      session.looked.set(incoming, {
        ...{ key, canonical, row: rows[at] ?? null, entries: log.get(canonical) ?? [] },
        ...{ before: before.get(incoming) ?? null, after: after.get(incoming) ?? null },
      });
    }
  } catch (error) {
    if (!isRowError(error)) throw error;
    await client.query("rollback to savepoint ahead");
  }
  await client.query("release savepoint ahead");
}

async function imagesOf(
  session: ApplySession,
  table: CapturedTable,
  changes: readonly IncomingChange[],
  which: "old" | "new",
): Promise<Map<IncomingChange, TextRow>> {
  const those = changes.flatMap((incoming) => {
    const row = incoming[which];
    return row === null ? [] : [{ incoming, row }];
  });
  const rows = await normaliseAll(
    session,
    table,
    those.map(({ row }) => row),
  );
  return new Map(those.map(({ incoming }, at) => [incoming, (rows[at] as { row: TextRow }).row]));
}

/** What was looked up of a change. Once: whoever comes a second time may have changed something in between. */
export function takeLooked(session: ApplySession, incoming: IncomingChange): Looked | null {
  const found = session.looked.get(incoming);
  session.looked.delete(incoming);
  return found ?? null;
}

/** What the log held of a row when it was locked ahead, as long as nothing, a trigger say, has changed the row since; null where it has to be asked. */
export function entriesOf(looked: Looked | null, now: TextRow | null): readonly LogEntry[] | null {
  if (looked === null || now === null || looked.row === null) return null;
  const { row } = looked;
  return Object.keys(now).every((name) => now[name] === row[name]) ? looked.entries : null;
}
