import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { serverUrl } from "../helpers/postgres.ts";
import { without } from "./edit.ts";
import { GUARDS, type Guard, KNOWN_MISTAKES } from "./guards.ts";

const FULL = process.env.TOMBOLO_GUARDS === "full";
/** At a time: each is a process that waits for a database most of the time. */
const AT_ONCE = 2;
const ROOT = join(import.meta.dirname, "../..");
const VITEST = join(dirname(createRequire(import.meta.url).resolve("vitest/package.json")), "vitest.mjs");

interface Outcome {
  readonly failed: number;
  readonly ran: number;
  readonly seconds: number;
  readonly output: string;
}

/** Runs the test that belongs to a guard over sources, or a build, without it. */
async function runWithout(guard: Guard, postgres: string): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), "tombolo-guard-"));
  const build = guard.built ? builtWithout(guard) : undefined;
  try {
    const report = join(folder, "report.json");
    const title = guard.test.title.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
    const reporters = ["--reporter=json", `--outputFile=${report}`];
    const args = ["run", "--config", "test/guards/guard.config.ts", ...reporters, "-t", title, `test/${guard.test.file}`];
    // what this run has set for its own workers is not for others
    const own = Object.entries(process.env).filter(([name]) => !/^(VITEST|TEST$|NODE_ENV|TOMBOLO_)/.test(name));
    const env = {
      ...Object.fromEntries(own),
      TEST_POSTGRES: postgres,
      TOMBOLO_FAULTS: guard.long ? "full" : "smoke",
      TOMBOLO_WITHOUT: guard.name,
      ...(build && { TOMBOLO_MAIN: join(build, "replicator/main.js") }),
    };
    const began = performance.now();
    const child = spawn(process.execPath, [VITEST, ...args], { cwd: ROOT, env, stdio: ["ignore", "pipe", "pipe"] });
    const output: string[] = [];
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text: string) => output.push(text));
    await once(child, "close");
    const seconds = (performance.now() - began) / 1000;
    const { numFailedTests: failed, numPassedTests: passed } = read(report, output.join(""));
    return { failed, ran: failed + passed, seconds, output: output.join("").slice(-3_000) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
    if (build) rmSync(build, { recursive: true, force: true });
  }
}

function read(report: string, output: string): { numFailedTests: number; numPassedTests: number } {
  try {
    return JSON.parse(readFileSync(report, "utf8"));
  } catch (cause) {
    throw new Error(`vitest wrote no report:\n${output.slice(-3_000)}`, { cause });
  }
}

/** dist/ without the guard, beside it. */
function builtWithout({ edits }: Guard): string {
  const build = mkdtempSync(join(ROOT, ".dist-guard-"));
  cpSync(join(ROOT, "dist"), build, { recursive: true });
  for (const file of new Set(edits.map((edit) => edit.file))) {
    const built = join(build, file.replace(/\.ts$/, ".js"));
    const own = edits.filter((edit) => edit.file === file);
    writeFileSync(built, without(readFileSync(built, "utf8"), own));
  }
  return build;
}

test.concurrent.each((FULL ? GUARDS : KNOWN_MISTAKES).map((guard) => [guard.name, guard.without, guard] as const))(
  "%s: a product that %s fails a test",
  { timeout: 300_000 },
  async (...[, , guard]) => {
    const { failed, ran, seconds, output } = await inTurn(async () => runWithout(guard, await serverUrl()));
    console.log(`${guard.name}: ${failed} of ${ran} tests failed after ${seconds.toFixed(1)} s`);
    expect(ran, `${guard.test.file} did not run\n${output}`).toBeGreaterThan(0);
    expect(failed, `${guard.test.file} passed without the guard\n${output}`).toBeGreaterThan(0);
  },
);

const waiting: (() => void)[] = [];
let running = 0;

async function inTurn<T>(work: () => Promise<T>): Promise<T> {
  while (running >= AT_ONCE) await new Promise<void>((resolve) => waiting.push(resolve));
  running += 1;
  try {
    return await work();
  } finally {
    running -= 1;
    waiting.shift()?.();
  }
}
