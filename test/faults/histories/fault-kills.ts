import { setTimeout as delay } from "node:timers/promises";
import type { Fault } from "./fault.ts";
import type { World } from "./world.ts";

const serverKilled =
  (which: keyof World["grounds"]): Fault =>
  async ({ grounds, disks }, { int }) => {
    await grounds[which].kill();
    await delay(int(400));
    // on a full disk it would take nobody, if it comes up at all: who operates it makes room first
    disks[which]?.empty();
    await grounds[which].start();
    return {};
  };

const FULL = /could not extend|No space left/;
/** For applications to notice: there is room left in the pages that tables have. */
const NOTICED_WITHIN_MS = 3_000;

const serverFull =
  (which: keyof World["grounds"]): Fault =>
  async ({ disks, writers }) => {
    const disk = disks[which];
    const writer = writers.find(({ name }) => name === which);
    if (disk === null || writer === undefined) return {};
    const until = performance.now() + NOTICED_WITHIN_MS;
    do {
      disk.fill();
      await writer.write();
    } while (!FULL.test(writer.made.at(-1)?.failure ?? "") && performance.now() < until);
    return { end: async () => disk.empty() };
  };

export const KILLS = {
  "replicator killed": async ({ replicators }, { int }) => {
    await replicators.kill();
    await delay(int(300));
    replicators.start();
    return {};
  },
  "replicator stopped": async ({ replicators }) => {
    replicators.signal("SIGSTOP");
    return { end: async () => replicators.signal("SIGCONT") };
  },
  "second replicator": async ({ replicators }) => {
    replicators.start();
    // the first one: the second has to notice, and take over everything, the hub's service included
    return { end: async () => replicators.kill(Math.min(1, replicators.count - 1)) };
  },
  "agent killed": async ({ edges }, { pick, int }) => {
    const edge = pick(edges.filter(({ kind }) => kind === "process"));
    await edge.kill();
    await delay(int(300));
    await edge.start();
    return {};
  },
  "hub's server killed": serverKilled("hub"),
  "replica's server killed": serverKilled("replica"),
  "store's disk full": async ({ disks: { store } }) => {
    store?.fill();
    return { end: async () => store?.empty() };
  },
  "hub's disk full": serverFull("hub"),
  "replica's disk full": serverFull("replica"),
} satisfies { [name: string]: Fault };
