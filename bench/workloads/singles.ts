import type { Session } from "../session.ts";
import type { Figures, Workload } from "./workload.ts";

/** Four writers (one in SQLite) flat out, one row per transaction. */
export const singles: Workload = {
  name: "singles",
  title: "single-row updates, 4 writers",
  prepare: (session) => session.ensureRows(session.sizes.table),
  async run(session: Session): Promise<Figures> {
    const { table, singlesSeconds: seconds, writers: clients } = session.sizes;
    const { started, finished, transactions } = await session.writer.do({ do: "singles", rows: table, seconds, clients });
    const arrived = await session.arrival(await session.mark());
    await session.assertEqual();
    return {
      writers_tps: (transactions * 1000) / (finished - started),
      rows_per_second: (transactions * 1000) / (arrived - started),
      drained_ms: arrived - finished,
    };
  },
};
