import { setTimeout as sleep } from "node:timers/promises";
import { bytesWritten, cpuOf, cpuSecondsBetween } from "../measure/process.ts";
import type { Session } from "../session.ts";
import { PostgresStore } from "../stores/postgres.ts";
import type { Store } from "../stores/store.ts";
import type { Figures, Workload } from "./workload.ts";

/** Nobody writes: what does it cost, in processor time and in bytes written to disk? */
export const idle: Workload = {
  name: "idle",
  title: "idle",
  once: true,
  prepare: async (session) => void (await session.arrival(await session.mark())),
  async run(session: Session): Promise<Figures> {
    const { installed, source, target, sizes } = session;
    await sleep(sizes.idleSettleSeconds * 1000);
    const processes = () => (installed.pid === null ? [] : [installed.pid]);
    const read = async () => ({
      process: cpuOf(processes()),
      backends: cpuOf(await installed.backends()),
      written: (await logged(source)) + (await logged(target)) + (installed.pid === null ? 0 : (bytesWritten(installed.pid) ?? 0)),
    });
    const before = await read();
    await sleep(sizes.idleSeconds * 1000);
    const after = await read();
    const percent = (seconds: number) => (seconds / sizes.idleSeconds) * 100;
    return {
      idle_cpu_percent: percent(cpuSecondsBetween(before.process, after.process)),
      idle_backends_cpu_percent: percent(cpuSecondsBetween(before.backends, after.backends)),
      idle_written_bytes: after.written - before.written,
    };
  },
};

/** A SQLite file is written by the replicator itself. */
const logged = async (store: Store): Promise<number> => (store instanceof PostgresStore ? store.written() : 0);
