import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { until } from "../../helpers/command.ts";
import { withClient } from "../../helpers/postgres.ts";
import { type FilePlace, sqlitePlace } from "../places.ts";
import type { EdgeSeat } from "./edge-seat.ts";
import type { Fault, Under } from "./fault.ts";
import type { Ground } from "./ground.ts";
import { recordedAt } from "./look.ts";
import { beat } from "./watch.ts";
import type { World } from "./world.ts";
import { Writer } from "./writer.ts";

/** What says that a database is not what it was. */
const FOUND_OUT = /NODE_REWOUND|PACKET_FORK|POSITION_AHEAD|POSITION_UNKNOWN|PEER_EPOCH|DATABASE_CLONED/;
const PATIENCE_MS = 45_000;

/** A copy is taken, life goes on, and then the copy is put in the place of the file. */
async function restored(world: World, place: FilePlace, { lift, lower }: { lift(): Promise<void>; lower(): Promise<void> }): Promise<void> {
  const writer = writerOf(world, place);
  const copy = join(world.folder, `${place.name}-old.db`);
  await writer.pause();
  await place.copyTo(copy);
  const kept = world.books.alive;
  writer.resume();
  await delay(700);
  await writer.pause();
  await lift();
  await place.replaceBy(copy);
  await forgotten(world, writer, kept);
  await lower();
  writer.resume();
}

const writerOf = ({ writers }: World, place: World["hub"]): Writer => writers.find(({ name }) => name === place.name) as Writer;

/** What others have seen of what a database no longer has must stay; of the rest nobody knows any more. */
async function forgotten({ books, hub }: World, writer: Writer, kept: ReadonlySet<string>): Promise<void> {
  const seen = await answered(async () => new Set((await tokensOf(hub)).flat()));
  books.excuse((token) => token.startsWith(`${writer.name}:`) && !kept.has(token) && !seen.has(token));
}

const tokensOf = (place: World["hub"]): Promise<unknown[][]> =>
  place.rows(["note", "badge", "purchase", "line", "task"].map((table) => `select body from ${table}`).join(" union all "));

/** What it answers once the server answers. */
async function answered<T>(work: () => Promise<T>): Promise<T> {
  let answer: { readonly is: T } | undefined;
  await until("the hub's server answers", async () => {
    answer = { is: await work() };
    return true;
  });
  return (answer as { is: T }).is;
}

/** Those that had been ended since the copy are there again. */
const nothingPrepared = (place: World["hub"], url: string): Promise<void> =>
  until(`nothing is prepared at ${place.name}`, async () => {
    const prepared = await place.rows("select gid from pg_prepared_xacts where database = current_database()");
    for (const [gid] of prepared) await withClient(url, (client) => client.query(`rollback prepared '${gid}'`));
    return true;
  });

/** The server is put back to where it is now after its application has gone on for a while; answers what had to be somewhere before. */
async function serverRestored(
  world: World,
  { place, ground, before }: { readonly place: World["hub"]; readonly ground: Ground; readonly before?: () => Promise<void> },
): Promise<ReadonlySet<string>> {
  const writer = writerOf(world, place);
  await writer.pause();
  const kept = world.books.alive;
  await ground.restored(async () => {
    writer.resume();
    await delay(700);
    await writer.pause();
    await before?.();
  });
  return kept;
}

/** Either it has been noticed, or there was nothing to notice, and the place has what the hub had at the beginning of this. */
async function noticed(world: World, place: World["hub"], complaints: () => string): Promise<boolean> {
  const beatOf = async (at: World["hub"]): Promise<number> => Number((await at.rows("select n from beat"))[0]?.[0] ?? -1);
  const now = await beatOf(world.hub);
  await until(
    `${place.name}, which was put back or copied, is found out or goes on`,
    async () => FOUND_OUT.test(complaints()) || (await beatOf(place)) >= now,
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

/** The same of a database that the replicator reaches. */
async function childAgain(world: World, place: World["hub"], since: number): Promise<void> {
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
      const { code, stdout, stderr } = await world.command("nodes", "resync", place.name, "--yes");
      if (code !== 0) throw new Error(`nodes resync ${place.name} ended with ${code}: ${stdout}${stderr}`);
      return true;
    },
    PATIENCE_MS,
  );
}

export const COPIES = {
  "store restored": async (world, { pick }) => {
    const place = pick(world.stores);
    const since = world.replicators.log().length;
    await restored(world, place, { lift: () => world.replicators.kill(), lower: async () => world.replicators.start() });
    return { aftercare: () => childAgain(world, place, since) };
  },
  "replica restored": async (world) => {
    const place = world.places[1] as World["hub"];
    const since = world.replicators.log().length;
    const writer = writerOf(world, place);
    await forgotten(world, writer, await serverRestored(world, { place, ground: world.grounds.replica }));
    writer.resume();
    return {
      async aftercare() {
        await nothingPrepared(place, world.urls.replica);
        await childAgain(world, place, since);
      },
    };
  },
  "hub restored": async (world) => {
    const { hub, books, edges, lines } = world;
    const since = world.replicators.log().length;
    const heard = new Map(edges.map((edge) => [edge, edge.complaints().length]));
    let inHistory: ReadonlySet<string> = new Set();
    const before = async (): Promise<void> => {
      lines.hub.set("cut");
      await delay(200);
      inHistory = new Set(await recordedAt(hub));
    };
    const kept = await serverRestored(world, { place: hub, ground: world.grounds.hub, before });
    lines.hub.set("open");
    // its children may have seen what it wrote, and are taken to where it is now; and its conflict history of that time is gone with the rest
    books.excuse((token) => inHistory.has(token) || (token.startsWith(`${hub.name}:`) && !kept.has(token)));
    // beyond all that they have from the life that is over
    await until("the hub's server answers", async () => (await beat(hub, 1_000_000)) === null);
    writerOf(world, hub).resume();
    return {
      async aftercare() {
        await nothingPrepared(hub, world.urls.hub);
        for (const place of [world.places[1] as World["hub"], ...world.stores]) await childAgain(world, place, since);
        for (const edge of edges) await edgeAgain(world, edge, heard.get(edge) ?? 0).aftercare?.();
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
      ...{ place, random, books: world.books, name: `${edge.name}-clone`, perSecond: 12, asynchronous: 0, isDisowned: true, isPlain: true },
      hasExtra: () => false,
      shop: world.shopOf.get(edge.name) ?? null,
    });
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
