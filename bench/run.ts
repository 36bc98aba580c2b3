import type { Clusters } from "./clusters.ts";
import { metered } from "./measure/meter.ts";
import type { BenchOptions } from "./options.ts";
import { ASIDE, ROUTES, type Route, type Sizes, type SystemName, takesPlace, UPKEEP, UPKEEP_ROUTES } from "./plan.ts";
import type { Recorder } from "./report/recorder.ts";
import { withSession } from "./session.ts";
import { bare } from "./systems/bare.ts";
import { bucardo } from "./systems/bucardo.ts";
import { native } from "./systems/native.ts";
import { pglogical } from "./systems/pglogical.ts";
import type { System } from "./systems/system.ts";
import { tombolo, tomboloOneWay, tomboloSlot } from "./systems/tombolo.ts";
import { tomboloHttp } from "./systems/tombolo-http.ts";
import { WORKLOADS } from "./workloads/all.ts";
import { copyLoop } from "./workloads/copy-loop.ts";
import { fanOut } from "./workloads/fan-out.ts";
import { upkeep } from "./workloads/upkeep.ts";
import type { Figures } from "./workloads/workload.ts";
import { writersCost } from "./workloads/writers.ts";

export interface RunOptions {
  readonly clusters: Clusters;
  readonly sizes: Sizes;
  readonly options: BenchOptions;
  readonly recorder: Recorder;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}

const REPLICATING: readonly System[] = [tombolo, tomboloSlot, tomboloOneWay, tomboloHttp, native, pglogical, bucardo];
const CAPTURING: readonly System[] = [bare, native, tombolo, tomboloSlot, bucardo];

/** All rounds: within each, the systems take turns, and who begins changes with the round. */
export async function runRounds(run: RunOptions): Promise<void> {
  await leaveOutMissing(run);
  for (let round = 1; round <= run.options.rounds; round++) {
    for (const route of ROUTES.filter(({ name }) => run.options.wants("route", name))) {
      for (const system of inTurn(route.systems, round)) {
        if (run.signal.aborted) return;
        if (!takesPart(run, system)) continue;
        await attempt(run, `round ${round}, ${route.title}, ${system}`, () => runSystem(run, { round, route, system }));
      }
    }
    // take long and vary little
    if (round === run.options.rounds) await runUpkeep(run, round);
    if (wantsAside(run.options, "writers")) await runWriters(run, round);
    // takes long and varies little
    if (wantsAside(run.options, "fan-out") && round === run.options.rounds) await runFanOut(run, round);
  }
}

async function leaveOutMissing({ clusters, options, recorder, say }: RunOptions): Promise<void> {
  for (const system of REPLICATING.filter(({ name }) => options.wants("system", name))) {
    const why = (await system.missing?.(clusters)) ?? null;
    if (why === null) continue;
    recorder.leaveOut(system.name, why);
    say(`${system.name} is not installed: ${why}`);
  }
}

const takesPart = ({ options, recorder }: RunOptions, system: SystemName): boolean =>
  options.wants("system", system) && !recorder.absent.has(system);

async function runSystem(
  run: RunOptions,
  at: { readonly round: number; readonly route: Route; readonly system: SystemName },
): Promise<void> {
  const { clusters, sizes, recorder, options, signal } = run;
  const { round, route } = at;
  if (at.system === "copy-loop") {
    if (!options.wants("workload", "inserts")) return;
    const figures = await copyLoop({ clusters, sizes, signal });
    recorder.add({ route: route.name, workload: "inserts", system: at.system, round }, figures);
    run.say(`  inserts: ${brief(figures)}`);
    return;
  }
  const system = REPLICATING.find(({ name }) => name === at.system)!;
  const workloads = WORKLOADS.filter(
    ({ name, once }) =>
      options.wants("workload", name) && takesPlace(name, route.name, system.name) && (once !== true || round === options.rounds),
  );
  if (workloads.length === 0) return;
  await withSession({ clusters, sizes, signal, system, source: route.source, target: route.target }, async (session) => {
    for (const workload of workloads) {
      if (signal.aborted) return;
      if (workload.can?.(session.installed) === false) continue;
      await workload.prepare?.(session);
      const figures = await metered(
        session.installed,
        () => session.changes,
        () => workload.run(session),
      );
      recorder.add({ route: route.name, workload: workload.name, system: at.system, round }, figures);
      run.say(`  ${workload.name}: ${brief(figures)}`);
    }
  });
}

const wantsAside = (options: BenchOptions, route: keyof typeof ASIDE): boolean =>
  options.wants("route", route) && options.wants("workload", ASIDE[route]);

async function runWriters(run: RunOptions, round: number): Promise<void> {
  const { clusters, sizes, recorder } = run;
  for (const system of inTurn(CAPTURING, round)) {
    if (run.signal.aborted) return;
    if (!takesPart(run, system.name)) continue;
    await attempt(run, `round ${round}, writers, ${system.name}`, async () => {
      const figures = await writersCost({ clusters, system, sizes, signal: run.signal });
      recorder.add({ route: "writers", workload: "capture", system: system.name, round }, figures);
      run.say(`  capture: ${brief(figures)}`);
    });
  }
}

async function runUpkeep(run: RunOptions, round: number): Promise<void> {
  const { clusters, sizes, recorder, options, signal } = run;
  if (!options.wants("system", "tombolo") || !UPKEEP.some((workload) => options.wants("workload", workload))) return;
  for (const route of ROUTES.filter(({ name }) => UPKEEP_ROUTES.some((upkept) => upkept === name) && options.wants("route", name))) {
    if (signal.aborted) return;
    await attempt(run, `round ${round}, ${route.title}, full sync and reconcile`, async () => {
      const { fullSync, reconcile, copy } = await upkeep({ clusters, sizes, signal, target: route.target });
      const at = { route: route.name, round };
      recorder.add({ ...at, workload: "full-sync", system: "tombolo" }, fullSync);
      recorder.add({ ...at, workload: "reconcile", system: "tombolo" }, reconcile);
      if (copy !== null) recorder.add({ ...at, workload: "full-sync", system: "copy" }, copy);
      run.say(`  full-sync: ${brief(fullSync)}`);
      run.say(`  reconcile: ${brief(reconcile)}`);
    });
  }
}

async function runFanOut(run: RunOptions, round: number): Promise<void> {
  if (run.signal.aborted || !run.options.wants("system", "tombolo")) return;
  await attempt(run, `round ${round}, fan-out to ${run.sizes.fanOutNodes} nodes, tombolo`, async () => {
    const figures = await fanOut(run);
    run.recorder.add({ route: "fan-out", workload: "fan-out", system: "tombolo", round }, figures);
    run.say(`  fan-out: ${brief(figures)}`);
  });
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
