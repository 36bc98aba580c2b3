import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { until } from "../../helpers/command.ts";
import { type FilePlace, sqlitePlace } from "../places.ts";
import type { EdgeSeat } from "./edge-seat.ts";
import type { Fault, Under } from "./fault.ts";
import type { World } from "./world.ts";
import { Writer } from "./writer.ts";

/** What says that a database is not what it was. */
const FOUND_OUT = /NODE_REWOUND|PACKET_FORK|POSITION_AHEAD|PEER_EPOCH|DATABASE_CLONED/;
const PATIENCE_MS = 45_000;

/** A copy is taken, life goes on, and then the copy is put in the place of the file. */
async function restored(world: World, place: FilePlace, { lift, lower }: { lift(): Promise<void>; lower(): Promise<void> }): Promise<void> {
  const writer = world.writers.find(({ name }) => name === place.name) as Writer;
  const copy = join(world.folder, `${place.name}-old.db`);
  await writer.pause();
  await place.copyTo(copy);
  const kept = writer.number;
  writer.resume();
  await delay(700);
  await writer.pause();
  const gone = writer.number;
  await lift();
  await place.replaceBy(copy);
  // what others have seen of what the file no longer has must stay; of the rest nobody knows any more
  const seen = await answered(async () => new Set((await tokensOf(world.hub)).flat()));
  world.books.excuse((token) => {
    const [name, number] = token.split(":");
    return name === writer.name && Number(number) > kept && Number(number) <= gone && !seen.has(token);
  });
  writer.hasLostItsPast = true;
  await lower();
  writer.resume();
}

const tokensOf = (place: World["hub"]): Promise<unknown[][]> =>
  place.rows("select body from note union all select body from badge union all select body from purchase union all select body from line");

/** What it answers once the server answers. */
async function answered<T>(work: () => Promise<T>): Promise<T> {
  let answer: { readonly is: T } | undefined;
  await until("the hub's server answers", async () => {
    answer = { is: await work() };
    return true;
  });
  return (answer as { is: T }).is;
}

/** Either it has been noticed, or there was nothing to notice, and the place has what the hub had at the beginning of this. */
async function noticed(world: World, place: FilePlace, complaints: () => string): Promise<boolean> {
  const beat = async (at: World["hub"]): Promise<number> => Number((await at.rows("select n from beat"))[0]?.[0] ?? -1);
  const now = await beat(world.hub);
  await until(
    `${place.name}, which was put back or copied, is found out or goes on`,
    async () => FOUND_OUT.test(complaints()) || (await beat(place)) >= now,
    PATIENCE_MS,
  );
  return FOUND_OUT.test(complaints());
}

/** The operator's answer. */
function edgeAgain(world: World, edge: EdgeSeat, since: number): Under {
  return {
    async aftercare() {
      const complaints = (): string => edge.complaints().slice(since);
      await edge.poke();
      if (!(await noticed(world, edge.place, complaints))) return;
      await until("the hub is asked", async () => {
        await world.operator.resync(edge.name);
        return true;
      });
      await edge.poke();
    },
  };
}

export const COPIES = {
  "store restored": async (world, { pick }) => {
    const place = pick(world.stores);
    const since = world.replicators.log().length;
    await restored(world, place, { lift: () => world.replicators.kill(), lower: async () => world.replicators.start() });
    return {
      async aftercare() {
        const complaints = (): string =>
          world.replicators
            .log()
            .slice(since)
            .split("\n")
            .filter((line) => line.includes(place.name))
            .join("\n");
        if (!(await noticed(world, place, complaints))) return;
        await until(
          `${place.name} begins anew`,
          async () => {
            // what the hub's applications have locked for long may stop it
            const { code, stdout, stderr } = await world.command("nodes", "resync", place.name, "--yes");
            if (code !== 0) throw new Error(`nodes resync ${place.name} ended with ${code}: ${stdout}${stderr}`);
            return true;
          },
          PATIENCE_MS,
        );
      },
    };
  },
  "edge restored": async (world, { pick }) => {
    const edge = pick(world.edges);
    const since = edge.complaints().length;
    await restored(world, edge.place, { lift: () => edge.kill(), lower: () => edge.start() });
    return edgeAgain(world, edge, since);
  },
  "edge cloned": async (world, random) => {
    const edge = random.pick(world.edges);
    const since = edge.complaints().length;
    const path = join(world.folder, `${edge.name}-clone.db`);
    const service = await edge.clone(path);
    const place = sqlitePlace(edge.name, "edge", path, { schema: "", timeoutMs: 300 });
    // of what it writes nothing is promised: it is one database too many
    const writer = new Writer({
      ...{ place, random, books: world.books, name: `${edge.name}-clone`, perSecond: 12, asynchronous: 0, isDisowned: true },
      hasExtra: () => false,
    });
    writer.hasLostItsPast = true;
    return {
      async end() {
        await writer.stop();
        await service.close();
        await place.close();
      },
      ...edgeAgain(world, edge, since),
    };
  },
} satisfies { [name: string]: Fault };
