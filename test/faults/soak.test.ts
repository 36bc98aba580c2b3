import { writeFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { until } from "../helpers/command.ts";
import { random } from "../helpers/random.ts";
import { Books } from "./books.ts";
import type { Place } from "./places.ts";
import { Troublemaker } from "./soak/faults.ts";
import { keepLooking, keepSampling, memorySlope, percentile, type Sample, type Seen } from "./soak/watch.ts";
import { openSoakWorld, type SoakWorld } from "./soak/world.ts";
import { keepBeating, keepWriting } from "./soak/writers.ts";

/** `npm run soak -- --minutes 60`. */
const MINUTES = Number(process.env.TOMBOLO_SOAK_MINUTES ?? (process.env.TOMBOLO_FAULTS === "full" ? 3 : 1 / 3));
const PER_SECOND = Number(process.env.TOMBOLO_SOAK_RATE ?? (MINUTES < 1 ? 150 : 500));
const SEED = Number(process.env.TOMBOLO_SEED ?? 1);
/** Of all transactions. */
const SHARES = { hub: 0.5, replica: 0.18, store: 0.05, edge: 0.03 };
const CONNECTIONS = { hub: 12, replica: 6 };
const MOST_RESIDENT_MB = 500;
/** After the last fault, for everything that is still on its way. */
const PATIENCE_MS = 300_000;

const KINDS = ["replica", "store", "edge"] as const;
const ROWS = ["select id, body from note", "select id, cast(n as text) from tally", "select id, cast(n as integer) from account"];

const numbers = (): Map<Place["kind"], number[]> => new Map(KINDS.map((kind) => [kind, []]));

test.skipIf(process.platform !== "linux")(
  "ten nodes under load and faults: all end equal and account for every write, and meanwhile no node ever shows half of a transfer [memory is read from /proc]",
  { timeout: MINUTES * 60_000 + 2 * PATIENCE_MS + 120_000 },
  async () => {
    const chosen = random(SEED);
    const world = await openSoakWorld(CONNECTIONS);
    const [stopFaults, stopWriting, stopWatching] = [new AbortController(), new AbortController(), new AbortController()];
    const books = new Books();
    const samples: Sample[] = [];
    const seen: Seen = { calm: numbers(), all: numbers(), halves: [] };
    const trouble = new Troublemaker(world, chosen);
    try {
      await until("every node is filled", async () => (await Promise.all(world.places.map(hasBeat))).every(Boolean), 120_000);
      const began = performance.now();
      const lasts = MINUTES * 60_000;
      const writing = [
        ...world.places.flatMap((place, at) =>
          writersOf(place).map((writer, which, { length }) =>
            keepWriting({
              ...{ place, writer, books },
              random: random(SEED * 1_000 + at * 10 + which),
              perSecond: (PER_SECOND * SHARES[place.kind]) / length,
              stop: stopWriting.signal,
            }),
          ),
        ),
        keepBeating(world.places[0] as Place, stopWriting.signal),
      ];
      const watching = [
        keepSampling(world, samples, { everyMs: Math.max(1_000, lasts / 240), stop: stopWatching.signal }),
        keepLooking(world.places, seen, { isCalm: () => trouble.isCalm, stop: stopWatching.signal }),
      ];
      const troubling = trouble.run(stopFaults.signal, {
        calmMs: Math.min(20_000, Math.max(2_500, lasts / 20)),
        killsUntil: began + lasts / 5,
      });
      await delay(lasts);
      stopFaults.abort();
      await troubling;
      stopWriting.abort();
      await Promise.all(writing);
      const seconds = (performance.now() - began) / 1000;
      const written = books.transactions;
      const restBegan = performance.now();
      await until("all is at rest in time: every node has what the hub has", () => isAtRest(world.places), PATIENCE_MS);
      const restSeconds = (performance.now() - restBegan) / 1000;
      stopWatching.abort();
      await Promise.all(watching);

      const verdict = await judge(world, books);
      const resident = samples.map(({ residentBytes }) => residentBytes / 2 ** 20);
      const report = {
        minutes: MINUTES,
        seed: SEED,
        nodes: world.places.length,
        transactions: written,
        transactions_per_second: Math.round(written / seconds),
        faults: Object.fromEntries(trouble.counts),
        rest_seconds: Math.round(restSeconds * 10) / 10,
        lag_ms: Object.fromEntries(KINDS.map((kind) => [kind, { calm: spread(seen.calm.get(kind)), all: spread(seen.all.get(kind)) }])),
        resident_mb: { first: rounded(resident[0]), last: rounded(resident.at(-1)), peak: rounded(Math.max(...resident)) },
        resident_mb_per_hour: rounded(memorySlope(samples)),
        descriptors: {
          first: samples[0]?.descriptors,
          last: samples.at(-1)?.descriptors,
          peak: Math.max(...samples.map((s) => s.descriptors)),
        },
        log: {
          rows_peak: Math.max(...samples.map(({ logRows }) => logRows ?? 0)),
          rows_last: samples.at(-1)?.logRows,
          mb_peak: rounded(Math.max(...samples.map(({ logBytes }) => (logBytes ?? 0) / 2 ** 20))),
        },
        verdict: { ...verdict, halves: seen.halves },
      };
      console.log(JSON.stringify(report, null, 1));
      if (process.env.TOMBOLO_SOAK_REPORT)
        writeFileSync(process.env.TOMBOLO_SOAK_REPORT, `${JSON.stringify({ ...report, samples }, null, 1)}\n`);
      expect(seen.halves).toEqual([]);
      expect(verdict).toEqual({ lost: [], counters: [], parked: 0 });
      expect(written).toBeGreaterThan(MINUTES * 60 * 20);
      expect(Math.max(...resident)).toBeLessThan(MOST_RESIDENT_MB);
    } catch (error) {
      console.log(world.replicator.stderr().split("\n").slice(-30).join("\n"));
      throw error;
    } finally {
      for (const stop of [stopFaults, stopWriting, stopWatching]) stop.abort();
      await world.close();
    }
  },
);

const writersOf = ({ name, kind }: Place): string[] =>
  Array.from({ length: kind === "hub" || kind === "replica" ? CONNECTIONS[kind] : 1 }, (_, at) => `${name}-${at}`);

const hasBeat = async (place: Place): Promise<boolean> => (await place.rows("select 1 from beat")).length > 0;

const rounded = (value: number | null | undefined): number | null => (value == null ? null : Math.round(value * 10) / 10);

const spread = (values: readonly number[] = []): object => ({
  count: values.length,
  p50: percentile(values, 0.5),
  p99: percentile(values, 0.99),
});

async function isAtRest(places: readonly Place[]): Promise<boolean> {
  for (const sql of ROWS) {
    // engines sort texts each in its own way
    const sorted = async (place: Place): Promise<string> =>
      (await place.rows(sql))
        .map((row) => JSON.stringify(row))
        .sort()
        .join();
    const [first, ...others] = await Promise.all(places.map(sorted));
    if (others.some((rows) => rows !== first)) return false;
  }
  return true;
}

/** Once all nodes are equal: what of the writes is accounted for nowhere, which counters are wrong, how much is set aside. */
async function judge({ places }: SoakWorld, books: Books): Promise<{ lost: string[]; counters: string[]; parked: number }> {
  const hub = places[0] as Place;
  const values = new Set((await hub.rows("select body from note")).map(([body]) => body as string));
  const recorded = new Set<string>();
  let parked = 0;
  const added = new Map<string, number>();
  for (const place of places) {
    const prefix = place.kind === "hub" || place.kind === "replica" ? "tombolo." : "tombolo_";
    const images = `select cast(parent_row as text), cast(child_row as text), cast(base_row as text) from ${prefix}conflict_history`;
    for (const row of await place.rows(images)) {
      for (const image of row) for (const [, token] of String(image).matchAll(/"([a-z]+(?:-\d+)*:\d+)"/g)) recorded.add(token as string);
    }
    parked += Number((await place.rows(`select count(*) from ${prefix}parked_change`))[0]?.[0]);
    for (const [id, n] of await place.rows("select id, n from added")) added.set(id as string, (added.get(id as string) ?? 0) + Number(n));
  }
  const counters = (await hub.rows("select id, n from tally")).flatMap(([id, n]) =>
    Number(n) === added.get(id as string) ? [] : [`${id}: ${n}, and ${added.get(id as string)} was added`],
  );
  return { lost: books.lost(values, recorded), counters, parked };
}
