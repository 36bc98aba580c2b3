// Takes guards out of the product, one at a time, and runs the test that must fail then: `npm run test:guards`; `--smoke` tries the mistakes that other
// replicators are known for. Other arguments go to vitest.
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const args = process.argv.slice(2);
const vitest = join(dirname(createRequire(import.meta.url).resolve("vitest/package.json")), "vitest.mjs");
const result = spawnSync(process.execPath, [vitest, "run", "test/guards", ...args.filter((arg) => arg !== "--smoke")], {
  stdio: "inherit",
  env: { ...process.env, TOMBOLO_GUARDS: args.includes("--smoke") ? "smoke" : "full" },
});
process.exitCode = result.status ?? 1;
