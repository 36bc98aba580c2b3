import { now } from "../measure/clock.ts";
import { percentile } from "../measure/stats.ts";
import { updateOver } from "./bulk.ts";
import type { Workload } from "./workload.ts";

/** Of each end, in one transaction. */
const CHANGES = 100;

/** A few changes at both ends at once, again and again: how long after the last commit each end has what the other wrote. */
export const exchange: Workload = {
  name: "exchange",
  title: "100 changes at each end",
  async prepare(session) {
    await session.ensureRows(2 * CHANGES);
    await session.writerBack();
  },
  async run(session) {
    const back = await session.writerBack();
    const work = { bulk: "update", rows: CHANGES, rowsPerTransaction: CHANGES, changes: CHANGES } as const;
    const times: number[] = [];
    for (let round = 0; round < session.sizes.exchanges; round++) {
      const [here, there] = await Promise.all([
        updateOver(session.writer, { ...work, from: 1 }).then(() => session.mark()),
        updateOver(back, { ...work, from: CHANGES + 1 }).then(() => session.markBack()),
      ]);
      const committed = now();
      times.push(Math.max(...(await Promise.all([session.arrival(here), session.arrivalBack(there)]))) - committed);
    }
    await session.assertEqual();
    return { exchange_p50_ms: percentile(times, 50), exchange_p99_ms: percentile(times, 99) };
  },
};
