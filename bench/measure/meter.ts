import type { Installed } from "../systems/system.ts";
import type { Figures } from "../workloads/workload.ts";
import { cpuOf, cpuSecondsBetween, watchProcess } from "./process.ts";

/** What `work` answers, and what the replicator needed for it: memory, processor time, and bytes on the wire per change made. */
export async function metered(installed: Installed, changes: () => number, work: () => Promise<Figures>): Promise<Figures> {
  const backends = cpuOf(await installed.backends());
  const before = { pid: installed.pid, changes: changes(), wire: (await installed.wireBytes?.()) ?? 0 };
  const watch = watchProcess(() => installed.pid);
  let figures: Figures;
  try {
    figures = await work();
  } finally {
    watch.stop();
  }
  const { peakBytes, cpuSeconds } = watch.stop();
  const backendsSeconds = cpuSecondsBetween(backends, cpuOf(await installed.backends()));
  // another process has counted from 0
  const wire = ((await installed.wireBytes?.()) ?? 0) - (installed.pid === before.pid ? before.wire : 0);
  const made = changes() - before.changes;
  return {
    ...figures,
    ...(peakBytes === null ? {} : { peak_rss_bytes: peakBytes }),
    ...(cpuSeconds === null ? {} : { cpu_seconds: cpuSeconds }),
    ...(process.platform === "linux" ? { backends_cpu_seconds: backendsSeconds } : {}),
    ...(made > 0 && wire > 0 ? { wire_bytes_per_change: wire / made } : {}),
  };
}
