// The simulation (test/sim) over seeds of one's own: `npm run test:sim -- --seeds 200000 [--seed 7]`. Other arguments go to vitest.
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";

const { values, positionals } = parseArgs({
  options: { seeds: { type: "string", default: "10000" }, seed: { type: "string" } },
  allowPositionals: true,
});
const vitest = join(dirname(createRequire(import.meta.url).resolve("vitest/package.json")), "vitest.mjs");
const result = spawnSync(process.execPath, [vitest, "run", "test/sim", ...positionals], {
  stdio: "inherit",
  env: {
    ...process.env,
    TOMBOLO_SUITE: "all",
    TOMBOLO_SIM_SEEDS: values.seeds,
    ...(values.seed !== undefined && { TOMBOLO_SEED: values.seed }),
  },
});
process.exitCode = result.status ?? 1;
