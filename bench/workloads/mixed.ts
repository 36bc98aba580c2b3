import { untilEqual } from "./bulk.ts";
import type { Workload } from "./workload.ts";

/** Changes of `mixed` per order: 1 order and 5 lines inserted; of earlier ones 1 order and 2 lines updated, 0.6 deleted. */
const CHANGES_PER_ORDER = 10;

/** Two tables with a foreign key between them; inserts, updates and deletes of both in every transaction. */
export const mixed: Workload = {
  name: "mixed",
  title: "orders and lines, mixed",
  async prepare(session) {
    const rows = ordersPerTransaction(session.sizes.rowsPerTransaction);
    await session.writer.do({ do: "bulk", bulk: "orders", from: 1, transactions: 2, rows, pass: 0 });
    await session.arrival(await session.mark());
  },
  run(session) {
    const { fewerTransactions: transactions, rowsPerTransaction } = session.sizes;
    const rows = ordersPerTransaction(rowsPerTransaction);
    const from = 1 + 2 * rows;
    return untilEqual(session, ["orders", "order_lines"], () =>
      session.writer.do({ do: "bulk", bulk: "mixed", from, transactions, rows, pass: 0 }),
    );
  },
};

const ordersPerTransaction = (rows: number): number => Math.ceil(rows / CHANGES_PER_ORDER);
