import { updateOver } from "./bulk.ts";
import type { Workload } from "./workload.ts";

/** Both ends update at once, each its own half of the rows. */
export const twoWay: Workload = {
  name: "two-way",
  title: "both ends update at once",
  can: ({ bothWays }) => bothWays !== undefined,
  async prepare(session) {
    await session.ensureRows(session.sizes.table);
    await session.installed.bothWays?.();
    await session.writerBack();
  },
  async run(session) {
    const { table, fewerTransactions, rowsPerTransaction } = session.sizes;
    const half = Math.floor(table / 2);
    const work = { bulk: "update", rows: half, rowsPerTransaction, changes: fewerTransactions * rowsPerTransaction } as const;
    const back = await session.writerBack();
    const [here, there] = await Promise.all([
      updateOver(session.writer, { ...work, from: 1 }).then(async (written) => ({ written, token: await session.mark() })),
      updateOver(back, { ...work, from: half + 1 }).then(async (written) => ({ written, token: await session.markBack() })),
    ]);
    const arrived = Math.max(...(await Promise.all([session.arrival(here.token), session.arrivalBack(there.token)])));
    await session.assertEqual();
    const started = Math.min(here.written.started, there.written.started);
    const finished = Math.max(here.written.finished, there.written.finished);
    const changes = (here.written.changes + there.written.changes) * 1000;
    return { rows_per_second: changes / (arrived - started), written_per_second: changes / (finished - started) };
  },
};
