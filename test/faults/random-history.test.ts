import { expect, test } from "vitest";
import { canShiftClocks } from "./histories/clocks.ts";
import { Ground } from "./histories/ground.ts";
import { playHistory } from "./histories/history.ts";
import { planOf, told } from "./histories/plan.ts";

const FULL = process.env.TOMBOLO_FAULTS === "full";
/** `npm run test:faults -- --histories N`. One seed alone is what a failure says. */
const SEED = Number(process.env.TOMBOLO_SEED ?? (FULL ? Math.floor(Math.random() * 2 ** 31) : 1));
const HISTORIES = Number(process.env.TOMBOLO_HISTORIES ?? (process.env.TOMBOLO_SEED !== undefined ? 1 : FULL ? 100 : 30));
const AT_ONCE = Math.min(HISTORIES, Number(process.env.TOMBOLO_AT_ONCE ?? 3));
/** After so many it is not about single ones any more. */
const MOST_FAILURES = 5;

test("random writers on all nodes, and everything goes wrong that a seed says: afterwards all nodes are equal, and every promise was kept", {
  timeout: 300_000 * (1 + HISTORIES),
}, async () => {
  if (!canShiftClocks()) console.log("clocks are right in all histories: that takes Linux and a C compiler");
  const seeds = Array.from({ length: HISTORIES }, (_, at) => SEED + at);
  const failures: string[] = [];
  let transactions = 0;
  const one = async (): Promise<void> => {
    const grounds = { hub: await Ground.open(), replica: await Ground.open() };
    try {
      while (failures.length < MOST_FAILURES) {
        const seed = seeds.shift();
        if (seed === undefined) break;
        const plan = planOf(seed);
        console.log(told(plan));
        try {
          const outcome = await playHistory(plan, grounds);
          transactions += outcome.transactions;
          console.log(`${seed}: ${outcome.transactions} transactions; ${JSON.stringify(outcome.took)}`);
        } catch (error) {
          const told = error instanceof Error ? error.message : String(error);
          console.log(told);
          failures.push(
            `TOMBOLO_SEED=${seed} npm run test:faults -- --histories 1\n${told.slice(Math.max(0, told.lastIndexOf("history failed:")))}`,
          );
        }
      }
    } finally {
      for (const ground of Object.values(grounds)) await ground.close();
    }
  };
  const began = performance.now();
  await Promise.all(Array.from({ length: AT_ONCE }, one));
  console.log(`${HISTORIES - seeds.length} histories, ${transactions} transactions, ${Math.round((performance.now() - began) / 1_000)} s`);
  if (failures.length > 0) throw new Error(failures.join("\n\n"));
  expect(transactions).toBeGreaterThan(HISTORIES * 50);
});
