import { untilEqual, updateOver } from "./bulk.ts";
import type { Workload } from "./workload.ts";

/** 50 columns, of which an update changes three. */
export const wide: Workload = {
  name: "wide",
  title: "50 columns, 3 updated",
  async prepare(session) {
    const { wideRows, rowsPerTransaction } = session.sizes;
    const transactions = Math.ceil(wideRows / rowsPerTransaction);
    await session.writer.do({ do: "bulk", bulk: "wide-insert", from: 1, transactions, rows: rowsPerTransaction, pass: 0 });
    await session.arrival(await session.mark());
  },
  run(session) {
    const { wideRows: rows, fewerTransactions, rowsPerTransaction } = session.sizes;
    const changes = fewerTransactions * rowsPerTransaction;
    return untilEqual(session, ["wide"], () =>
      updateOver(session.writer, { bulk: "wide-update", from: 1, rows, rowsPerTransaction, changes }),
    );
  },
};
