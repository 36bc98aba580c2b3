import { setTimeout as delay } from "node:timers/promises";
import { until } from "../../helpers/command.ts";
import type { Fault } from "./fault.ts";
import type { World } from "./world.ts";

const serverKilled =
  (which: keyof World["grounds"]): Fault =>
  async ({ grounds }, { int }) => {
    await grounds[which].kill();
    await delay(int(400));
    await grounds[which].start();
    return {};
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
  "disk full": async ({ disk }) => {
    if (disk === null) return {};
    await until("the disk is filled", () => {
      disk.fill();
      return true;
    });
    return { end: async () => disk.empty() };
  },
} satisfies { [name: string]: Fault };
