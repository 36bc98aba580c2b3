import { until } from "../../helpers/command.ts";
import type { Place } from "../places.ts";
import type { EdgeSeat } from "./edge-seat.ts";
import type { Fault } from "./fault.ts";
import { ADDED_COLUMN } from "./tables.ts";
import type { World } from "./world.ts";

/** `apply` gives up where a server is away, and a table is compared when it has been filled. */
const PATIENCE_MS = 120_000;

const has = (place: Place): Promise<boolean> =>
  place.rows("select extra from note limit 1").then(
    () => true,
    () => false,
  );

/** Not while a transaction holds the table. */
async function add(world: World, place: Place): Promise<void> {
  if (!(await has(place))) {
    const failure = await place.write(function* () {
      yield [ADDED_COLUMN];
    });
    if (failure !== null) return;
  }
  world.withColumn.add(place);
}

/** What was written to the column before a node captured it may be nowhere else: the product says so (`must_compare`), and a person repairs. */
async function compare(world: World): Promise<void> {
  const repair = (...which: string[]): Promise<unknown> =>
    until(
      "compared and repaired",
      async () => {
        const { code, stdout, stderr } = await world.command("reconcile", ...which, "--repair", "parent");
        // rows under way are not compared: it says to do so again
        if (code !== 0 || /under way/.test(stdout + stderr)) throw new Error(`reconcile ended with ${code}: ${stdout}${stderr}`);
        return true;
      },
      PATIENCE_MS,
    );
  await repair("--table", "note", "--yes");
  await Promise.all(
    world.edges.map(async (edge) => {
      await beganAnew(world, edge);
      await repair("--link", `hub/${edge.name}`);
    }),
  );
}

/** One that was to begin anew before it had the column has said that it cannot: it is asked once more. */
async function beganAnew(world: World, edge: EdgeSeat): Promise<void> {
  await until(
    `${edge.name} has begun anew`,
    async () => {
      const [last] = await world.hub.rows(`select state from tombolo.full_sync_run where peer = '${edge.name}' order by id desc limit 1`);
      if (last?.[0] === "failed") await world.operator.resync(edge.name);
      else if (last?.[0] !== "requested" && last?.[0] !== "running") return true;
      await edge.poke();
      return false;
    },
    PATIENCE_MS,
  );
}

export const COLUMNS_CHANGE = {
  "column added": async (world) => {
    const byHand = world.places.filter(({ kind }) => kind === "hub" || kind === "edge" || world.plan.columns === "by hand");
    await add(world, world.hub);
    return {
      async end() {
        for (const place of byHand) await add(world, place);
      },
      async aftercare() {
        for (const place of byHand) {
          await until(`notes have their column at ${place.name}`, async () => {
            await add(world, place);
            return world.withColumn.has(place);
          });
        }
        if (world.plan.columns === "by hand") {
          await until("apply", async () => (await world.command("apply", "--yes")).code === 0, PATIENCE_MS);
          await world.replicators.reload();
        }
        for (const place of world.places) {
          await until(`the column was carried to ${place.name}`, () => has(place), PATIENCE_MS);
          world.withColumn.add(place);
        }
      },
      atRest: () => compare(world),
    };
  },
} satisfies { [name: string]: Fault };
