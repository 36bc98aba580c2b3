import { describe, expect, test } from "vitest";
import type { DigestSnapshot } from "../../replicator/node/digest.ts";
import { compareLink } from "../../replicator/reconcile/compare-link.ts";
import { comparedTables } from "../../replicator/reconcile/compared-tables.ts";
import { both, closeAfterEach, PAIRS, pairOf } from "../helpers/pair.ts";

closeAfterEach();

const SCHEMA = both("create table item (id bigint primary key, name text)");
/** Four ranges of 10,000; with a pace ranges of 500. */
const ROWS = 30_250;
const RANGES = 61;

// one engine each: they share what rests
describe.each(PAIRS.filter(([above, below]) => above === below))("%s above %s", (above, below) => {
  /** What is asked of the parent for digests, and how long it rests, one after the other. A statement takes what `taken` says, by the clock that it is given. */
  async function told(options: { readonly pace?: number; readonly taken: number; readonly changed?: number }): Promise<readonly string[]> {
    const { pace, taken, changed } = options;
    const pair = await pairOf([above, below], SCHEMA, [{ name: "item" }]);
    await pair.parent.write(
      above === "postgres"
        ? `insert into public.item select i, 'item ' || i from generate_series(1, ${ROWS}) as i`
        : `insert into item with recursive n(i) as (select 1 union all select i + 1 from n where i < ${ROWS}) select i, 'item ' || i from n`,
    );
    await pair.settle();
    const events: string[] = [];
    let now = 0;
    const { parent } = pair.link.ends;
    const watched = (snapshot: DigestSnapshot): DigestSnapshot => ({
      tick: snapshot.tick,
      bounds: (...asked) => snapshot.bounds(...asked),
      digests: (table, ranges) => {
        events.push(`digests of ${ranges.length}`);
        now += taken;
        return snapshot.digests(table, ranges);
      },
      buckets: (...asked) => snapshot.buckets(...asked),
      list: (...asked) => snapshot.list(...asked),
      digestsOf: (table, keys) => {
        events.push(`${keys.length} keys`);
        now += taken;
        return snapshot.digestsOf(table, keys);
      },
      rows: (...asked) => snapshot.rows(...asked),
      close: () => snapshot.close(),
    });
    const digests = {
      open: async (...asked: Parameters<typeof parent.digests.open>) => watched(await parent.digests.open(...asked)),
      normalised: (...asked: Parameters<typeof parent.digests.normalised>) => parent.digests.normalised(...asked),
    };
    const { tables } = await comparedTables(pair.link.ends, null);
    const keys = new Set(Array.from({ length: changed ?? 0 }, (_, at) => JSON.stringify([`${at + 1}`])));
    const found = await compareLink(
      { ...pair.link.ends, parent: { ...parent, digests } },
      {
        ...{ tables, signal: new AbortController().signal, onProgress: () => {} },
        ...(changed !== undefined && { changed: new Map(tables.map((table) => [table, keys])) }),
        ...(pace !== undefined && { pace }),
        elapsed: () => now,
        async sleep(ms) {
          events.push(`rests ${ms}`);
          now += ms;
        },
      },
    );
    expect(found.map(({ compared, differences }) => [compared, differences.length])).toEqual([[changed ?? ROWS, 0]]);
    return events;
  }

  test("after each piece it rests by its share, counted by the clock that it was given", async () => {
    expect(await told({ pace: 20, taken: 40 })).toEqual(Array.from({ length: RANGES }, () => ["digests of 1", "rests 160"]).flat());
  });

  test("rows that have changed are asked for in pieces, too", async () => {
    expect(await told({ pace: 50, taken: 40, changed: 1_200 })).toEqual([
      ...["500 keys", "rests 40", "500 keys", "rests 40", "200 keys", "rests 40"],
    ]);
  });

  test("a rest has its end, whatever a piece took; without a pace there is none, and more is asked at once", async () => {
    expect((await told({ pace: 1, taken: 60_000 })).filter((event) => event.startsWith("rests"))).toEqual(Array(RANGES).fill("rests 5000"));
    expect(await told({ taken: 40 })).toEqual(["digests of 4"]);
  });
});
