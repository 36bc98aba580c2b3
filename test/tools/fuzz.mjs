// Fuzzing at length: `npm run fuzz -- --packets 10000000 [--topologies N] [--rows N] [--transactions N] [--statements N] [--seed S]`. What is not named is not
// tried, unless nothing is. Other arguments go to vitest.
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";

const FILES = { packets: "packets", topologies: "topology", rows: "row-images", transactions: "decoding", statements: "statements" };
const options = Object.fromEntries([...Object.keys(FILES), "seed"].map((name) => [name, { type: "string" }]));
const { values, positionals } = parseArgs({ options, allowPositionals: true });
const chosen = Object.keys(FILES).filter((name) => values[name] !== undefined);
const files = (chosen.length === 0 ? Object.keys(FILES) : chosen).map((name) => `test/fuzz/${FILES[name]}.test.ts`);
const seed = values.seed ?? String(Math.floor(Math.random() * 2 ** 31));
const counts = Object.fromEntries(chosen.map((name) => [`TOMBOLO_FUZZ_${name.toUpperCase()}`, values[name]]));
const vitest = join(dirname(createRequire(import.meta.url).resolve("vitest/package.json")), "vitest.mjs");
const result = spawnSync(process.execPath, [vitest, "run", ...files, ...positionals], {
  stdio: "inherit",
  env: { ...process.env, ...counts, TOMBOLO_SUITE: "all", TOMBOLO_SEED: seed },
});
process.exitCode = result.status ?? 1;
