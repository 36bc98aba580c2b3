import type { Clusters } from "./clusters.ts";
import { cpuOf, cpuSecondsBetween, watchProcess } from "./measure/process.ts";
import type { BenchOptions } from "./options.ts";
import { ROUTES, type Route, type Sizes, type SystemName } from "./plan.ts";
import type { Recorder } from "./report/recorder.ts";
import { type Session, withSession } from "./session.ts";
import { bare } from "./systems/bare.ts";
import { native } from "./systems/native.ts";
import type { System } from "./systems/system.ts";
import { tombolo, tomboloOneWay } from "./systems/tombolo.ts";
import { WORKLOADS } from "./workloads/all.ts";
import { copyLoop } from "./workloads/copy-loop.ts";
import type { Figures, Workload } from "./workloads/workload.ts";
import { writersCost } from "./workloads/writers.ts";

export interface RunOptions {
  readonly clusters: Clusters;
  readonly sizes: Sizes;
  readonly options: BenchOptions;
  readonly recorder: Recorder;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

const REPLICATING: readonly System[] = [tombolo, tomboloOneWay, native];

/** All rounds: within each, the systems take turns, and who begins changes with the round. */
export async function runRounds(run: RunOptions): Promise<void> {
  for (let round = 1; round <= run.options.rounds; round++) {
    for (const route of ROUTES.filter(({ name }) => run.options.wants("route", name))) {
      for (const system of inTurn(route.systems, round)) {
        if (run.signal.aborted) return;
        if (!run.options.wants("system", system)) continue;
        await attempt(run, `round ${round}, ${route.title}, ${system}`, () => runSystem(run, { round, route, system }));
      }
    }
    if (run.options.wants("route", "writers") && run.options.wants("workload", "singles")) await runWriters(run, round);
  }
}

async function runSystem(
  run: RunOptions,
  at: { readonly round: number; readonly route: Route; readonly system: SystemName },
): Promise<void> {
  const { clusters, sizes, recorder, options, signal } = run;
  const { round, route } = at;
  if (at.system === "copy-loop") {
    const figures = await copyLoop({ clusters, sizes, signal });
    recorder.add({ route: route.name, workload: "inserts", system: at.system, round }, figures);
    run.say(`  inserts: ${brief(figures)}`);
    return;
  }
  const system = REPLICATING.find(({ name }) => name === at.system)!;
  const workloads = WORKLOADS.filter(({ name, once }) => options.wants("workload", name) && (once !== true || round === options.rounds));
  if (workloads.length === 0) return;
  await withSession({ clusters, sizes, signal, system, source: route.source, target: route.target }, async (session) => {
    for (const workload of workloads) {
      if (signal.aborted) return;
      const figures = await measured(session, workload);
      recorder.add({ route: route.name, workload: workload.name, system: at.system, round }, figures);
      run.say(`  ${workload.name}: ${brief(figures)}`);
    }
  });
}

/** A workload's own figures, and what the replicator needed for it. */
async function measured(session: Session, workload: Workload): Promise<Figures> {
  const { installed } = session;
  const backends = cpuOf(await installed.backends());
  const watch = watchProcess(() => installed.pid);
  let figures: Figures;
  try {
    figures = await workload.run(session);
  } finally {
    watch.stop();
  }
  const { peakBytes, cpuSeconds } = watch.stop();
  const backendsSeconds = cpuSecondsBetween(backends, cpuOf(await installed.backends()));
  return {
    ...figures,
    ...(peakBytes === null ? {} : { peak_rss_bytes: peakBytes }),
    ...(cpuSeconds === null ? {} : { cpu_seconds: cpuSeconds }),
    ...(process.platform === "linux" ? { backends_cpu_seconds: backendsSeconds } : {}),
  };
}

async function runWriters(run: RunOptions, round: number): Promise<void> {
  const { clusters, sizes, recorder, options } = run;
  for (const system of inTurn([bare, native, tombolo], round)) {
    if (run.signal.aborted) return;
    if (!options.wants("system", system.name)) continue;
    await attempt(run, `round ${round}, writers, ${system.name}`, async () => {
      const figures = await writersCost({ clusters, system, sizes, signal: run.signal });
      recorder.add({ route: "writers", workload: "capture", system: system.name, round }, figures);
      run.say(`  capture: ${brief(figures)}`);
    });
  }
}

/** What fails is told at once and at the end; the others go on. */
async function attempt(run: RunOptions, what: string, work: () => Promise<void>): Promise<void> {
  run.say(what);
  try {
    await work();
  } catch (error) {
    if (run.signal.aborted) return;
    const message = `${what}: ${error instanceof Error ? error.message : error}`;
    run.recorder.fail(message);
    run.say(`  FAILED: ${message}`);
  }
}

function inTurn<T>(values: readonly T[], round: number): readonly T[] {
  const shift = (round - 1) % values.length;
  return [...values.slice(shift), ...values.slice(0, shift)];
}

const brief = (figures: Figures): string =>
  Object.entries(figures)
    .map(([name, value]) => `${name} ${Number(value.toPrecision(4)).toLocaleString("en")}`)
    .join(", ");
