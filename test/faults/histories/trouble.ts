import { setTimeout as delay } from "node:timers/promises";
import { until } from "../../helpers/command.ts";
import { random } from "../../helpers/random.ts";
import type { Fault, Under } from "./fault.ts";
import { COLUMNS_CHANGE } from "./fault-columns.ts";
import { COPIES } from "./fault-copies.ts";
import { HELD } from "./fault-held.ts";
import { KILLS } from "./fault-kills.ts";
import { LINES } from "./fault-lines.ts";
import type { FaultName } from "./plan.ts";
import type { World } from "./world.ts";

const FAULTS: { readonly [name in FaultName]: Fault } = { ...KILLS, ...LINES, ...HELD, ...COPIES, ...COLUMNS_CHANGE };
/** What goes on while the next one or two begin. */
const AT_ONCE = 2;

/** What is left for a person to do. */
export interface Left {
  readonly aftercare: readonly (() => Promise<void>)[];
  readonly atRest: readonly (() => Promise<void>)[];
}

/** Does what the plan says, one after the other, each while those before it may still last. */
export async function makeTrouble(world: World): Promise<Left> {
  const { plan } = world;
  const lasting: Under[] = [];
  const left = { aftercare: [] as (() => Promise<void>)[], atRest: [] as (() => Promise<void>)[] };
  const endOne = async (): Promise<void> => {
    const under = lasting.shift();
    await until("a fault ends", async () => {
      await under?.end?.();
      return true;
    });
  };
  for (const [at, { name, afterMs }] of plan.faults.entries()) {
    await delay(afterMs);
    const under = await FAULTS[name](world, random(plan.seed * 1_000 + 500 + at));
    if (under.end !== undefined) lasting.push(under);
    if (under.aftercare !== undefined) left.aftercare.push(under.aftercare);
    if (under.atRest !== undefined) left.atRest.push(under.atRest);
    if (lasting.length > AT_ONCE) await endOne();
  }
  await delay(300);
  while (lasting.length > 0) await endOne();
  return left;
}
