// Ten nodes under load and faults for as long as you like: `npm run soak -- --minutes 60 [--rate 500] [--seed 7] [--report soak.json]`. Other arguments go to vitest.
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";

const { values, positionals } = parseArgs({
  options: {
    minutes: { type: "string", default: "5" },
    rate: { type: "string" },
    seed: { type: "string" },
    report: { type: "string" },
  },
  allowPositionals: true,
});
const vitest = join(dirname(createRequire(import.meta.url).resolve("vitest/package.json")), "vitest.mjs");
const result = spawnSync(process.execPath, [vitest, "run", "test/faults/soak.test.ts", ...positionals], {
  stdio: "inherit",
  env: {
    ...process.env,
    TOMBOLO_FAULTS: "full",
    TOMBOLO_SOAK_MINUTES: values.minutes,
    ...(values.rate !== undefined && { TOMBOLO_SOAK_RATE: values.rate }),
    ...(values.seed !== undefined && { TOMBOLO_SEED: values.seed }),
    ...(values.report !== undefined && { TOMBOLO_SOAK_REPORT: resolve(values.report) }),
  },
});
process.exitCode = result.status ?? 1;
