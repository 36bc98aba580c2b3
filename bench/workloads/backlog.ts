import { now } from "../measure/clock.ts";
import type { Session } from "../session.ts";
import { updateOver } from "./bulk.ts";
import type { Figures, Workload } from "./workload.ts";

/** Changes of few rows, made while nothing replicates: how large the log gets, how long until both ends are equal, in how much memory. */
export const backlog: Workload = {
  name: "backlog",
  title: "backlog",
  once: true,
  prepare: (session) => session.ensureRows(session.sizes.backlogRows),
  async run(session: Session): Promise<Figures> {
    const { writer, installed, sizes } = session;
    await installed.pause();
    const before = await installed.logBytes?.();
    const { rowsPerTransaction, backlogRows: rows } = sizes;
    const { changes } = await updateOver(writer, { bulk: "update", from: 1, rows, rowsPerTransaction, changes: sizes.backlog });
    const after = await installed.logBytes?.();
    const token = await session.mark();
    const started = now();
    await installed.start();
    const arrived = await session.arrival(token);
    await session.assertEqual();
    return {
      drain_seconds: (arrived - started) / 1000,
      rows_per_second: (changes * 1000) / (arrived - started),
      ...(before === undefined || after === undefined ? {} : { log_bytes_per_change: (after - before) / changes }),
    };
  },
};
