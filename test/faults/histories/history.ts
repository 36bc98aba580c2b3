import { cpSync, writeFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { parkedAt } from "./look.ts";
import { type Plan, told } from "./plan.ts";
import { makeTrouble } from "./trouble.ts";
import { judge, stateOf } from "./verdict.ts";
import { keepBeating, keepLooking } from "./watch.ts";
import { type Grounds, openWorld, type World } from "./world.ts";
import type { Writer } from "./writer.ts";

/** How long applications write before the first fault: the first fill is under way then, or has just ended. */
const BEFORE_MS = 400;

export interface Outcome {
  readonly transactions: number;
  /** Of each part of the history, milliseconds. */
  readonly took: { readonly [part: string]: number };
}

/** One history from its beginning to its verdict; throws what is wrong, with what there is to find out why. */
export async function playHistory(plan: Plan, grounds: Grounds): Promise<Outcome> {
  const took: { [part: string]: number } = {};
  let began = performance.now();
  const lap = (part: string): void => {
    took[part] = Math.round(performance.now() - began);
    began = performance.now();
  };
  const world = await openWorld(plan, grounds);
  lap("set up");
  const stop = new AbortController();
  const looking = keepLooking(world.places, stop.signal);
  const stopBeating = new AbortController();
  const beating = keepBeating(world.hub, stopBeating.signal);
  try {
    await delay(BEFORE_MS);
    const left = await makeTrouble(world);
    lap("faults");
    // what agents wait for after so many failures is no part of this
    for (const edge of world.edges) await edge.poke();
    // at the hub life goes on meanwhile
    const [atHub, ...others] = world.writers as [Writer, ...Writer[]];
    for (const writer of others) await writer.stop();
    for (const each of left.aftercare) await each();
    await atHub.stop();
    // a row that is written all the time looks different at each look of a comparison, which waits for it
    stopBeating.abort();
    await beating;
    for (const each of left.atRest) await each();
    lap("aftercare");
    const wrong = await judge(world);
    lap("rest");
    stop.abort();
    wrong.push(...(await looking));
    if (wrong.length > 0) throw new Error(wrong.slice(0, 30).join("\n"));
    return { transactions: world.books.transactions, took };
  } catch (error) {
    await keep(world).catch((cause: unknown) => console.log(`nothing could be kept: ${cause}`));
    const status = await world.command("status").catch(() => null);
    const log = world.replicators.log().split("\n").slice(-40).join("\n");
    const agents = world.edges.map((edge) => `${edge.name}: ${edge.complaints().slice(-300)}`).join("\n");
    throw new Error(
      // what is wrong comes last: of a long output one sees the end
      `${log}\n${status?.stdout}${status?.stderr}\n${agents}\nhistory failed: ${told(plan)}\n${error instanceof Error ? error.message : error}`,
      { cause: error },
    );
  } finally {
    stop.abort();
    stopBeating.abort();
    await world.close();
    lap("end");
  }
}

/** Where TOMBOLO_KEEP says: the files, what the replicators have logged, and what the servers hold of it. */
async function keep(world: World): Promise<void> {
  const folder = process.env.TOMBOLO_KEEP;
  if (folder === undefined) return;
  const target = `${folder}/${world.plan.seed}`;
  cpSync(world.folder, target, { recursive: true });
  writeFileSync(`${target}/run.log`, world.replicators.log());
  const made = world.writers.flatMap((writer) => writer.made).sort((a, b) => (a.at < b.at ? -1 : 1));
  writeFileSync(`${target}/writes.json`, made.map((one) => JSON.stringify(one)).join("\n"));
  const state = await stateOf(world);
  writeFileSync(`${target}/state.json`, JSON.stringify({ differing: state.differing, parked: state.parked }, null, 1));
  for (const place of world.places.filter(({ kind }) => kind === "hub" || kind === "replica")) {
    const log = await place.rows(
      `select c.seq::text, c.xid::text, t.table_name, c.op, c.origin, c.target, c.changed_at::text, c.key::text, c.old::text, c.new::text
        from tombolo.change c join tombolo.captured_table t on t.id = c.table_id order by c.seq`,
    );
    const rest = await Promise.all(
      ["peer", "conflict_history", "tick", "refused_change"].map(async (table) => [
        table,
        await place.rows(`select row_to_json(t)::text from tombolo.${table} t`),
      ]),
    );
    const parked = (await parkedAt(place)).map(({ place: _, ...each }) => each);
    writeFileSync(`${target}/${place.name}.json`, JSON.stringify({ log, parked, ...Object.fromEntries(rest) }, null, 1));
  }
}
