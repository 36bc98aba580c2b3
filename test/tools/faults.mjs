// The fault tests at length; `--smoke` runs each a few times only, as `npm test` does. Other arguments go to vitest.
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const args = process.argv.slice(2);
const vitest = join(dirname(createRequire(import.meta.url).resolve("vitest/package.json")), "vitest.mjs");
const result = spawnSync(process.execPath, [vitest, "run", "test/faults", ...args.filter((arg) => arg !== "--smoke")], {
  stdio: "inherit",
  env: { ...process.env, TOMBOLO_FAULTS: args.includes("--smoke") ? "smoke" : "full" },
});
process.exitCode = result.status ?? 1;
