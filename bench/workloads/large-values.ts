import { untilEqual } from "./bulk.ts";
import type { Workload } from "./workload.ts";

const ROWS_PER_TRANSACTION = 20;

/** Values of 100 kB, inserted and then replaced. */
export const largeValues: Workload = {
  name: "large-values",
  title: "100 kB values, inserted and replaced",
  run(session) {
    const { writer, sizes } = session;
    const rows = ROWS_PER_TRANSACTION;
    const transactions = Math.ceil(sizes.largeRows / rows);
    return untilEqual(session, ["large"], async () => {
      const inserted = await writer.do({ do: "bulk", bulk: "large-insert", from: 1, transactions, rows, pass: 0 });
      const updated = await writer.do({ do: "bulk", bulk: "large-update", from: 1, transactions, rows, pass: 1 });
      return { started: inserted.started, finished: updated.finished, changes: inserted.changes + updated.changes };
    });
  },
};
