import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { play } from "./random-history/play.ts";
import { history } from "./random-history/steps.ts";
import type { Variant } from "./random-history/tables.ts";
import { World } from "./random-history/world.ts";

const RUNS = Number(process.env.TOMBOLO_HISTORIES ?? 30);
const LENGTH = Number(process.env.TOMBOLO_HISTORY_LENGTH ?? 60);
/** The short run is always the same one; a longer one explores, and says where it began. */
const SEED = Number(process.env.TOMBOLO_SEED ?? (process.env.TOMBOLO_HISTORIES === undefined ? 1 : Math.floor(Math.random() * 2 ** 31)));
const TIME_LIMIT_MS = process.env.TOMBOLO_HISTORIES === undefined ? 35_000 : Number.POSITIVE_INFINITY;
/** A world is used for so many histories: its logs and histories grow. */
const HISTORIES_PER_WORLD = 40;

const worlds = new Map<string, { readonly world: World; used: number }>();
afterAll(async () => {
  for (const { world } of worlds.values()) await world.close();
});

async function worldOf(variant: Variant, rules: Parameters<typeof World.open>[1]): Promise<{ world: World; base: number }> {
  const name = JSON.stringify(variant);
  let known = worlds.get(name);
  if (known === undefined || known.used >= HISTORIES_PER_WORLD) {
    await known?.world.close();
    known = { world: await World.open(variant, rules), used: 0 };
    worlds.set(name, known);
  }
  known.used += 1;
  return { world: known.world, base: known.used * 10 };
}

test("whatever is written where, synced when, and goes wrong: the nodes end equal, and every write is accounted for", {
  timeout: 60_000 + RUNS * 30_000,
}, async () => {
  console.log(`${RUNS} histories: TOMBOLO_HISTORIES=${RUNS} TOMBOLO_SEED=${SEED}`);
  await fc.assert(
    fc.asyncProperty(fc.noBias(history(LENGTH)), async (plan) => {
      const { world, base } = await worldOf(plan.variant, plan.rules);
      try {
        expect(await play(world, plan, base)).toEqual([]);
      } catch (error) {
        // what it has done to the nodes is no ground for the next one
        worlds.delete(JSON.stringify(plan.variant));
        await world.close();
        throw error;
      }
    }),
    { numRuns: RUNS, seed: SEED, ...(Number.isFinite(TIME_LIMIT_MS) && { interruptAfterTimeLimit: TIME_LIMIT_MS }) },
  );
});
