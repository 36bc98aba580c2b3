import { now } from "../measure/clock.ts";
import type { Session } from "../session.ts";
import type { Figures, Workload } from "./workload.ts";

/** Half a million changes made while nothing replicates: how long until both ends are equal, and in how much memory. */
export const backlog: Workload = {
  name: "backlog",
  title: "backlog",
  once: true,
  async run(session: Session): Promise<Figures> {
    const { writer, installed, sizes } = session;
    await installed.pause();
    const from = session.rows + 1;
    const perTransaction = Math.min(1000, sizes.backlog / 2);
    const transactions = Math.ceil(sizes.backlog / 2 / perTransaction);
    for (const change of ["insert", "update"] as const) {
      await writer.do({ do: change, from, transactions, rows: perTransaction, pass: 2 });
    }
    session.rows += transactions * perTransaction;
    const token = await session.mark();
    const started = now();
    await installed.start();
    const arrived = await session.arrival(token);
    await session.assertEqual();
    return { drain_seconds: (arrived - started) / 1000, rows_per_second: (2 * transactions * perTransaction * 1000) / (arrived - started) };
  },
};
