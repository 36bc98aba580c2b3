import type { Session } from "../session.ts";
import type { Figures, Workload } from "./workload.ts";

export const inserts: Workload = { name: "inserts", title: "1000-row inserts", run: runInserts };
export const updates: Workload = { name: "updates", title: "1000-row updates", run: runUpdates };

async function runInserts(session: Session): Promise<Figures> {
  const { transactions, rowsPerTransaction: rows } = session.sizes;
  const from = session.rows + 1;
  session.rows += transactions * rows;
  return untilEqual(session, transactions * rows, () => session.writer.do({ do: "insert", from, transactions, rows, pass: 0 }));
}

async function runUpdates(session: Session): Promise<Figures> {
  const { transactions, rowsPerTransaction: rows } = session.sizes;
  await session.ensureRows(transactions * rows);
  return untilEqual(session, transactions * rows, () => session.writer.do({ do: "update", from: 1, transactions, rows, pass: 1 }));
}

/** Rows per second from the first write until the target has the last one; then, outside the time, every value is compared. */
async function untilEqual(
  session: Session,
  rows: number,
  write: () => Promise<{ readonly started: number; readonly finished: number }>,
): Promise<Figures> {
  const { started, finished } = await write();
  const arrived = await session.arrival(await session.mark());
  await session.assertEqual();
  return { rows_per_second: (rows * 1000) / (arrived - started), written_per_second: (rows * 1000) / (finished - started) };
}
