import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import type { Place } from "../places.ts";
import type { SoakWorld } from "./world.ts";
import { ACCOUNTS, BALANCE } from "./writers.ts";

export interface Sample {
  readonly second: number;
  /** Of the replicator; a new one has another pid. */
  readonly pid: number;
  readonly residentBytes: number;
  readonly descriptors: number;
  /** Of the hub's log; null while its server is away. */
  readonly logRows: number | null;
  readonly logBytes: number | null;
}

const LOG = `select (select count(*) from tombolo.change)::int,
  (select coalesce(sum(pg_total_relation_size(inhrelid)), 0) from pg_inherits where inhparent = 'tombolo.change'::regclass)::float8`;

export async function keepSampling(world: SoakWorld, samples: Sample[], options: { everyMs: number; stop: AbortSignal }): Promise<void> {
  const began = performance.now();
  while (!options.stop.aborted) {
    const pid = world.replicator.process.pid ?? 0;
    const [row] = await (world.places[0] as Place).rows(LOG).catch(() => [] as unknown[][]);
    try {
      samples.push({
        second: Math.round((performance.now() - began) / 1000),
        pid,
        residentBytes: Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024,
        descriptors: readdirSync(`/proc/${pid}/fd`).length,
        logRows: (row?.[0] as number | undefined) ?? null,
        logBytes: (row?.[1] as number | undefined) ?? null,
      });
    } catch {
      // it was killed just now
    }
    await delay(options.everyMs, undefined, { signal: options.stop }).catch(() => undefined);
  }
}

export interface Seen {
  /** Milliseconds from a beat's commit at the hub to its being seen elsewhere, by kind of node: in calm times, and at all. */
  readonly calm: Map<Place["kind"], number[]>;
  readonly all: Map<Place["kind"], number[]>;
  /** Transfers of which a node showed one half. */
  readonly halves: string[];
}

/** Looks at every node but the hub all the time. */
export async function keepLooking(
  places: readonly Place[],
  seen: Seen,
  options: { isCalm: () => boolean; stop: AbortSignal },
): Promise<void> {
  const last = new Map<Place, number>();
  const look = async (place: Place): Promise<void> => {
    const [beat] = await place.rows("select n, at from beat");
    if (beat !== undefined) {
      const [n, at] = beat.map(Number) as [number, number];
      const before = last.get(place);
      if (before !== undefined && n > before) {
        for (const [book, counts] of [
          [seen.all, true],
          [seen.calm, options.isCalm()],
        ] as const) {
          if (counts) book.get(place.kind)?.push(Date.now() - at);
        }
      }
      last.set(place, n);
    }
    const [sum] = await place.rows("select count(*), sum(n) from account");
    const [count, total] = (sum ?? []).map(Number);
    if (count !== 0 && (count !== ACCOUNTS || total !== ACCOUNTS * BALANCE)) seen.halves.push(`${place.name}: ${count} accounts, ${total}`);
  };
  while (!options.stop.aborted) {
    await Promise.all(places.filter(({ kind }) => kind !== "hub").map((place) => look(place).catch(() => undefined)));
    await delay(40);
  }
}

export function percentile(values: readonly number[], share: number): number | null {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? null;
}

/** Of the replicator that lived longest, without the first third of its life: MB per hour by least squares; null where that is shorter than ten minutes. */
export function memorySlope(samples: readonly Sample[]): number | null {
  const lives = livesOf(samples);
  const longest = [...lives.values()].reduce((a, b) => (b.length > a.length ? b : a), [] as Sample[]);
  const settled = longest.slice(Math.floor(longest.length / 3));
  const span = (settled.at(-1)?.second ?? 0) - (settled[0]?.second ?? 0);
  if (span < 600) return null;
  const mean = (of: (sample: Sample) => number): number => settled.reduce((sum, sample) => sum + of(sample), 0) / settled.length;
  const [x, y] = [mean(({ second }) => second), mean(({ residentBytes }) => residentBytes)];
  const above = settled.reduce((sum, sample) => sum + (sample.second - x) * (sample.residentBytes - y), 0);
  const below = settled.reduce((sum, sample) => sum + (sample.second - x) ** 2, 0);
  return ((above / below) * 3600) / 2 ** 20;
}

function livesOf(samples: readonly Sample[]): Map<number, Sample[]> {
  const groups = new Map<number, Sample[]>();
  for (const sample of samples) groups.set(sample.pid, [...(groups.get(sample.pid) ?? []), sample]);
  return groups;
}
