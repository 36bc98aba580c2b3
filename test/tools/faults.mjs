// The fault tests at length; `--smoke` runs each a few times only, as CI does. `--histories N` plays so many random histories and nothing else, three at once
// (`--at-once N`). Other arguments go to vitest.
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const args = process.argv.slice(2);
const env = { ...process.env, TOMBOLO_FAULTS: take("--smoke", 1) === undefined ? "full" : "smoke" };
const [, histories] = take("--histories", 2) ?? [];
const [, atOnce] = take("--at-once", 2) ?? [];
if (histories !== undefined) env.TOMBOLO_HISTORIES = histories;
if (atOnce !== undefined) env.TOMBOLO_AT_ONCE = atOnce;
const files = histories === undefined ? "test/faults" : "test/faults/random-history.test.ts";
const vitest = join(dirname(createRequire(import.meta.url).resolve("vitest/package.json")), "vitest.mjs");
const result = spawnSync(process.execPath, [vitest, "run", files, ...args], { stdio: "inherit", env });
process.exitCode = result.status ?? 1;

/** An option and what stands behind it, which are taken out of the arguments. */
function take(name, count) {
  const at = args.indexOf(name);
  return at < 0 ? undefined : args.splice(at, count);
}
