import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { TomboloError } from "../replicator/change/error.ts";
import { Clusters } from "./clusters.ts";
import { type BenchOptions, readOptions, USAGE } from "./options.ts";
import { FULL, ROUTES, SMOKE } from "./plan.ts";
import { type Facts, toJson } from "./report/json.ts";
import { machine } from "./report/machine.ts";
import { Recorder } from "./report/recorder.ts";
import { drawRowsPerSecond } from "./report/svg.ts";
import { printGoals, printTable, type Titles } from "./report/table.ts";
import { runRounds } from "./run.ts";
import { WORKLOADS } from "./workloads/all.ts";

const RESULTS = fileURLToPath(new URL("../../bench/results", import.meta.url));
const TITLES: Titles = new Map([
  ...ROUTES.map(({ name, title }) => [name, title] as const),
  ...WORKLOADS.map(({ name, title }) => [name, title] as const),
  ["full-sync", "full sync of a million rows"],
  ["reconcile", "comparing a million rows"],
  ["writers", "Cost of capture for those who write (nothing replicates meanwhile)"],
  ["capture", "4 writers; 200 × 1000-row update"],
  ["fan-out", "One hub to many SQLite nodes"],
]);

const say = (line: string): void => void process.stderr.write(`${line}\n`);
const print = (lines: readonly string[]): void => void process.stdout.write(lines.map((line) => `${line}\n`).join(""));

async function bench(options: BenchOptions): Promise<number> {
  const abort = new AbortController();
  const stop = () => abort.abort();
  process.once("SIGINT", stop).once("SIGTERM", stop);
  const recorder = new Recorder();
  const sizes = options.smoke ? SMOKE : FULL;
  const clusters = await Clusters.start();
  let facts: Facts;
  try {
    facts = { machine: machine(await clusters.version()), rounds: options.rounds, settings: await clusters.settings() };
    await runRounds({ clusters, sizes, options, recorder, say, signal: abort.signal });
  } finally {
    await clusters.stop();
  }
  report(recorder, options, { facts, isWhole: !abort.signal.aborted });
  if (abort.signal.aborted) return 130;
  return recorder.failures.length === 0 ? 0 : 1;
}

function report(recorder: Recorder, options: BenchOptions, { facts, isWhole }: { readonly facts: Facts; readonly isWhole: boolean }): void {
  const { cores, cpu, node, postgres, sqlite, load_before: load } = facts.machine;
  print([
    `${cores} cores, ${cpu}; Node ${node}, Postgres ${postgres}, SQLite ${sqlite}; ${options.rounds} round(s); load before ${load ?? "unknown"}`,
  ]);
  const absent = [...recorder.absent].map(([name, why]) => `${name} (${why})`);
  if (absent.length > 0) print([`not installed: ${absent.join(", ")}`]);
  print(printTable(recorder, TITLES));
  if (!options.smoke) print(printGoals(recorder, TITLES));
  print(recorder.failures.length === 0 ? [] : ["", "Failed", ...recorder.failures.map((failure) => `  ${failure}`)]);
  const out = options.out ?? (options.smoke || options.partial || !isWhole || recorder.failures.length > 0 ? null : RESULTS);
  if (out === null) return;
  mkdirSync(out, { recursive: true });
  const svg = drawRowsPerSecond(recorder, TITLES);
  writeFileSync(join(out, "latest.json"), toJson(recorder, facts));
  if (svg !== null) writeFileSync(join(out, "rows-per-second.svg"), svg);
  print(["", `written: ${["latest.json", ...(svg === null ? [] : ["rows-per-second.svg"])].join(", ")}`]);
}

try {
  const options = readOptions(process.argv.slice(2));
  if (options.help) print([USAGE]);
  else process.exitCode = await bench(options);
} catch (error) {
  say(
    error instanceof TomboloError && error.kind === "usage" ? `${error.message}\n${error.hint}` : String((error as Error).stack ?? error),
  );
  process.exitCode = error instanceof TomboloError && error.kind === "usage" ? 2 : 1;
}
