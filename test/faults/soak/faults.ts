import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { killServer, restartServer } from "../../helpers/crash.ts";
import type { Random } from "../../helpers/random.ts";
import type { SoakWorld } from "./world.ts";

/** So long after a fault lag is still counted as its. */
const AFTERMATH_MS = 8_000;

const FAULTS: { readonly [name: string]: (world: SoakWorld, random: Random) => Promise<void> } = {
  "edge killed": (world, { pick }) => world.restartEdge(pick(world.edges)),
  "line cut": async (world, { int }) => {
    world.line(false);
    await delay(500 + int(3_000));
    world.line(true);
  },
  "hub's server killed": (world) => crash(world.hub),
  "replica's server killed": (world) => crash(world.replica),
  "long transaction": async (world, { int }) => {
    const client = new pg.Client({ connectionString: world.hub.url });
    client.on("error", () => undefined);
    try {
      await client.connect();
      await client.query("begin");
      await client.query("insert into note values ($1, 'held open')", [`held ${Date.now()}`]);
      await delay(1_000 + int(4_000));
      await client.query("commit");
    } finally {
      await client.end();
    }
  },
  "replicator stopped": async (world, { int }) => {
    const { process } = world.replicator;
    process.kill("SIGSTOP");
    await delay(500 + int(3_000));
    process.kill("SIGCONT");
  },
  "replicator killed": async (world) => world.restartReplicator(),
};

async function crash(server: SoakWorld["hub"]): Promise<void> {
  await killServer(server.directory);
  await restartServer(server);
}

/** Faults one after the other, with calm in between. The replicator is killed early on only, so that its memory is seen over a long life. */
export class Troublemaker {
  readonly counts = new Map<string, number>();
  #calmFrom = 0;
  readonly #world: SoakWorld;
  readonly #random: Random;

  constructor(world: SoakWorld, random: Random) {
    this.#world = world;
    this.#random = random;
  }

  get isCalm(): boolean {
    return performance.now() > this.#calmFrom;
  }

  /** `calmMs`: between two, about. `killsUntil`: of `performance.now()`. */
  async run(stop: AbortSignal, { calmMs, killsUntil }: { readonly calmMs: number; readonly killsUntil: number }): Promise<void> {
    const { pick, int } = this.#random;
    for (;;) {
      await delay(calmMs / 2 + int(calmMs), undefined, { signal: stop }).catch(() => undefined);
      if (stop.aborted) return;
      const names = Object.keys(FAULTS).filter((name) => name !== "replicator killed" || performance.now() < killsUntil);
      const name = pick(names);
      this.#calmFrom = Number.POSITIVE_INFINITY;
      try {
        await FAULTS[name]?.(this.#world, this.#random);
        this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
      } finally {
        this.#calmFrom = performance.now() + AFTERMATH_MS;
      }
    }
  }
}
