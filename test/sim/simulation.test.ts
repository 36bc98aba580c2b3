import fc from "fast-check";
import { expect, test } from "vitest";
import type { Bug } from "./model-database.ts";
import { plan } from "./plan.ts";
import { play } from "./play.ts";
import { REGRESSIONS } from "./regressions.ts";

const SEEDS = Number(process.env.TOMBOLO_SIM_SEEDS ?? 2_000);
/** The short run is always the same one; a longer one explores, and says where it began. */
const SEED = Number(process.env.TOMBOLO_SEED ?? (process.env.TOMBOLO_SIM_SEEDS === undefined ? 1 : Math.floor(Math.random() * 2 ** 31)));
/** Seeds in which each mistake has to show. */
const FOUND_WITHIN = 2_000;

test("whatever is written where, answered in which order, and killed when: the nodes end equal, and every write is accounted for", {
  timeout: 60_000 + SEEDS * 500,
}, async () => {
  console.log(`${SEEDS} seeds: TOMBOLO_SIM_SEEDS=${SEEDS} TOMBOLO_SEED=${SEED}`);
  await fc.assert(
    fc.asyncProperty(fc.noBias(plan), async (chosen) => {
      expect(await play(chosen)).toEqual([]);
    }),
    { numRuns: SEEDS, seed: SEED },
  );
});

test("what went wrong once does not again", async () => {
  for (const [name, chosen] of Object.entries(REGRESSIONS)) expect(await play(chosen), name).toEqual([]);
});

test.each<[Bug, string]>([
  ["watermark", "a batch were what was numbered since the last, and not what became visible"],
  ["seal after send", "a tick left the node before it is durable"],
  ["acknowledge before durable", "a packet were confirmed before its transaction is durable"],
  ["no guard", "a packet that came before were applied again"],
  ["position apart", "the place that a packet was applied up to were written in a transaction of its own"],
])("the simulation is sharp: it finds %s, where %s", { timeout: 300_000 }, async (bug) => {
  const broken = await fc.check(
    fc.asyncProperty(fc.noBias(plan), async (chosen) => {
      expect(await play(chosen, new Set([bug]))).toEqual([]);
    }),
    { numRuns: FOUND_WITHIN, seed: 1, endOnFailure: true },
  );
  console.log(`${bug}: found after ${broken.numRuns} seeds`);
  expect(broken.failed).toBe(true);
});
