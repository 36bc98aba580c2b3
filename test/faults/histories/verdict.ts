import { setTimeout as delay } from "node:timers/promises";
import type { Place } from "../places.ts";
import { differences, loggedSince, newestOf, parkedAt, type Rows, recordedAt, rowsOf } from "./look.ts";
import { described, mend } from "./people.ts";
import { COUNTERS } from "./tables.ts";
import { beat } from "./watch.ts";
import type { World } from "./world.ts";

/** After the last fault, and what people have done about it, for everything that is still on its way. */
const PATIENCE_MS = 90_000;
/** Every look reads all tables of all places. */
const LOOK_MS = 250;
/** What is parked is left alone so long: the node may be about to try it again. */
const PEOPLE_LOOK_MS = 700;
/** A change for which nothing is in the way is tried again within ten seconds, and that takes as long as others let it on a machine that plays several histories. */
const PARKED_MS = 30_000;

export interface State {
  readonly rows: readonly Rows[];
  readonly differing: readonly string[];
  readonly parked: readonly string[];
}

export async function stateOf({ places, withColumn, shopOf }: World): Promise<State> {
  const rows = await Promise.all(places.map((place) => rowsOf(place, withColumn.has(place))));
  const [hub, ...children] = rows as [Rows, ...Rows[]];
  const parked = (await Promise.all(places.map(parkedAt))).flat().map(described);
  const differing = children.flatMap((child, at) => {
    const place = places[at + 1] as Place;
    return differences(place, child, { hub, shop: shopOf.get(place.name) ?? null });
  });
  return { rows, parked, differing };
}

/** Waits until all places are the same and nothing is parked, while people take away what is in the way of parked changes. */
export async function comeToRest(world: World): Promise<State> {
  const deadline = performance.now() + PATIENCE_MS;
  const since = new Map<string, number>();
  let looked = performance.now();
  let last: State | undefined;
  let failure: unknown;
  while (performance.now() < deadline) {
    if (world.replicators.hasDied) throw new Error("the replicator has ended by itself");
    for (const edge of world.edges) if (edge.hasDied) throw new Error(`the agent of ${edge.name} has ended by itself`);
    try {
      last = await stateOf(world);
      if (last.differing.length === 0 && last.parked.length === 0) return last;
      if (last.parked.length > 0 && performance.now() - looked > PEOPLE_LOOK_MS) {
        looked = performance.now();
        const unexplained = await mend(world);
        for (const each of since.keys()) if (!unexplained.includes(each)) since.delete(each);
        for (const each of unexplained) since.set(each, since.get(each) ?? looked);
        const old = [...since].filter(([, at]) => looked - at > PARKED_MS).map(([each]) => each);
        if (old.length > 0) throw new Error(`parked, and nothing is in the way: ${old.join("; ")}`);
      }
      failure = undefined;
    } catch (error) {
      failure = error;
      if (error instanceof Error && error.message.startsWith("parked,")) throw error;
    }
    await delay(LOOK_MS);
  }
  const shown = [...(last?.differing ?? []), ...(last?.parked ?? [])].slice(0, 30).join("\n");
  throw new Error(`not at rest within ${PATIENCE_MS / 1_000} s:\n${shown}\n${failure ?? ""}`, { cause: failure });
}

/**
 * Further rounds, of which every place hears: nothing else may move. In the first of them a parent may still tell a child of rows whose parked changes have just
 * gone through there (`R`): the child asks for them behind what was parked.
 */
async function echoes(world: World): Promise<string[]> {
  const round = async (): Promise<string[]> => {
    const before = await Promise.all(world.places.map(newestOf));
    await beat(world.hub);
    await comeToRest(world);
    return (await Promise.all(world.places.map((place, at) => loggedSince(place, before[at] as bigint)))).flat();
  };
  const [first, ...others] = [await round(), await round(), await round()];
  return [...first.filter((entry) => !/^\S+ R /.test(entry)), ...others.flat()];
}

/** What is wrong once all is at rest; nothing where every promise was kept. */
export async function judge(world: World): Promise<string[]> {
  const { rows } = await comeToRest(world);
  const recorded = new Set((await Promise.all(world.places.map(recordedAt))).flat());
  const hub = rows[0] as Rows;
  const values = new Set<string>();
  for (const [id, row] of hub) if (/^(note|badge|purchase|line|task) /.test(id)) values.add(bodyOf(id, row));
  return [
    ...world.books.lost(values, recorded).map((token) => `the write ${token} is lost`),
    ...miscounted(hub),
    ...broken(world, rows),
    ...(await echoes(world)).map((entry) => `moved although nobody wrote: ${entry}`),
  ];
}

const bodyOf = (id: string, row: string): string => (JSON.parse(row) as string[])[id.startsWith("line ") ? 2 : 1] as string;

/** A counter is the sum of what was added. */
function miscounted(rows: Rows): string[] {
  const ledger = [...rows].filter(([id]) => id.startsWith("ledger ")).map(([, row]) => JSON.parse(row) as [string, string, string]);
  return COUNTERS.flatMap((counter) => {
    const sum = ledger.filter(([, of]) => of === counter).reduce((total, [, , n]) => total + Number(n), 0);
    const [, n] = JSON.parse(rows.get(`tally ${counter}`) ?? "[]") as [string, string];
    return Number(n) === sum ? [] : [`counter ${counter} is ${n}, and ${sum} was added`];
  });
}

/** References and unique values hold, whatever constraints the databases were told of. */
function broken({ places }: World, all: readonly Rows[]): string[] {
  return all.flatMap((rows, at) => {
    const name = places[at]?.name;
    const codes = [...rows].filter(([id]) => id.startsWith("badge ")).map(([, row]) => (JSON.parse(row) as (string | null)[])[2]);
    const used = codes.filter((code) => code !== null);
    const lines = [...rows].filter(([id]) => id.startsWith("line ")).map(([, row]) => JSON.parse(row) as [string, string, string]);
    return [
      ...(new Set(used).size === used.length ? [] : [`${name}: two badges have one code`]),
      ...lines.filter(([, purchase]) => !rows.has(`purchase ${purchase}`)).map(([id]) => `${name}: line ${id} has no purchase`),
    ];
  });
}
