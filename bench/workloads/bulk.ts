import { now } from "../measure/clock.ts";
import type { Session } from "../session.ts";
import type { TableName } from "../stores/tables.ts";
import type { Bulk } from "../writer/protocol.ts";
import type { WriterClient } from "../writer/writer.ts";
import type { Figures, Workload } from "./workload.ts";

export interface Written {
  readonly started: number;
  readonly finished: number;
  readonly changes: number;
}

export const inserts: Workload = {
  name: "inserts",
  title: "1000-row inserts",
  run(session) {
    const { transactions, rowsPerTransaction: rows } = session.sizes;
    const from = session.rows + 1;
    session.rows += transactions * rows;
    return untilEqual(session, ["bench"], () => session.writer.do({ do: "bulk", bulk: "insert", from, transactions, rows, pass: 0 }));
  },
};

export const updates: Workload = {
  name: "updates",
  title: "1000-row updates",
  prepare: (session) => session.ensureRows(session.sizes.transactions * session.sizes.rowsPerTransaction),
  run(session) {
    const { transactions, rowsPerTransaction: rows } = session.sizes;
    return untilEqual(session, ["bench"], () => session.writer.do({ do: "bulk", bulk: "update", from: 1, transactions, rows, pass: 1 }));
  },
};

/** Of the newest rows: the others are needed again. */
export const deletes: Workload = {
  name: "deletes",
  title: "1000-row deletes",
  prepare: (session) => session.ensureRows(session.sizes.fewerTransactions * session.sizes.rowsPerTransaction),
  run(session) {
    const { fewerTransactions: transactions, rowsPerTransaction: rows } = session.sizes;
    session.rows -= transactions * rows;
    const from = session.rows + 1;
    return untilEqual(session, ["bench"], () => session.writer.do({ do: "bulk", bulk: "delete", from, transactions, rows, pass: 0 }));
  },
};

/** Rows per second from the first write until the target has the last one; then, outside the time, every value is compared. */
export async function untilEqual(session: Session, tables: readonly TableName[], write: () => Promise<Written>): Promise<Figures> {
  const { started, finished, changes } = await write();
  const arrived = await session.arrival(await session.mark());
  await session.assertEqual(...tables);
  return { rows_per_second: (changes * 1000) / (arrived - started), written_per_second: (changes * 1000) / (finished - started) };
}

/** At least `changes` updates that go over the same rows again and again. */
export async function updateOver(
  writer: WriterClient,
  what: {
    readonly bulk: Bulk;
    readonly from: number;
    readonly rows: number;
    readonly rowsPerTransaction: number;
    readonly changes: number;
  },
): Promise<Written> {
  const { bulk, from, changes } = what;
  const rows = Math.min(what.rows, what.rowsPerTransaction);
  const transactions = Math.floor(what.rows / rows);
  const started = now();
  let done = 0;
  let finished = started;
  for (let pass = 1; done < changes; pass++) {
    const round = await writer.do({ do: "bulk", bulk, from, transactions, rows, pass });
    done += round.changes;
    finished = round.finished;
  }
  return { started, finished, changes: done };
}
