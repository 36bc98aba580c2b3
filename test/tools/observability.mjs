// `npm run test:observability`: the dashboards and alerts against a real Prometheus. Debian's package is installed where it is missing and may be.
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const has = (command) => spawnSync(command, ["--version"], { stdio: "ignore" }).status === 0;
const run = (command, args, env = {}) => spawnSync(command, args, { stdio: "inherit", env: { ...process.env, ...env } }).status ?? 1;

if (!has("prometheus") || !has("promtool")) {
  const mayInstall = process.getuid?.() === 0 && spawnSync("apt-get", ["--version"], { stdio: "ignore" }).status === 0;
  if (!mayInstall) {
    console.error("prometheus and promtool are not here: install the package `prometheus` (Debian, Ubuntu), or put both into PATH.");
    process.exit(2);
  }
  // RUNLEVEL=1: it is started by the test alone
  const env = { DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" };
  run("apt-get", ["update", "-qq"], env);
  const installed = run("apt-get", ["install", "-y", "-qq", "--no-install-recommends", "prometheus"], env);
  if (installed !== 0) process.exit(installed);
}
const vitest = join(dirname(createRequire(import.meta.url).resolve("vitest/package.json")), "vitest.mjs");
process.exit(run(process.execPath, [vitest, "run", "test/observability", ...process.argv.slice(2)], { TOMBOLO_SUITE: "observability" }));
