import { describe, expect, test } from "vitest";
import type { FullSyncOptions } from "../../replicator/full-sync/options.ts";
import { agreeing, syncFully } from "../helpers/full-sync.ts";
import { both, closeAfterEach, nodeOf, PAIRS } from "../helpers/pair.ts";
import { addThings } from "../helpers/things.ts";

closeAfterEach();

const SCHEMA = both("create table product (id bigint primary key, name text)");
const TABLES = [{ name: "product" }];
const ALL = "select id, name from product order by id";

describe.each(PAIRS)("a full sync of %s into %s", (above, below) => {
  /** How far it was, in rows, at each of its rests, and what it came to. */
  async function copied(options: Pick<FullSyncOptions, "pace">) {
    const parent = await nodeOf(above, "hub", SCHEMA, TABLES);
    const child = await nodeOf(below, "store", SCHEMA, TABLES);
    await addThings(parent, { to: 5_000 });
    const rests: { readonly rows: number; readonly ms: number }[] = [];
    let rows = 0;
    const result = await syncFully(parent.node, child.node, TABLES, {
      ...options,
      watcher: {
        ...agreeing,
        progress(progress) {
          rows = progress.rows;
        },
      },
      sleep: async (ms) => void rests.push({ rows, ms }),
    });
    expect(result).toMatchObject({ state: "done", rows: 5_000 });
    expect(await child.rows(ALL)).toEqual(await parent.rows(ALL));
    return rests;
  }

  test("with a pace it rests after every 1,000 rows, also into empty tables", async () => {
    const rests = await copied({ pace: 20 });
    // that it was the last one, it hears when it asks for more
    expect(rests.map(({ rows }) => rows)).toEqual([1_000, 2_000, 3_000, 4_000, 5_000, 5_000]);
    for (const { ms } of rests) expect(ms).toBeGreaterThan(0);
  });

  test("without one it does not rest", async () => {
    expect(await copied({})).toEqual([]);
  });
});
