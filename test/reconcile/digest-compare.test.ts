import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ChainDigest, digestOf, SumDigest, sumsText } from "../../replicator/change/row-digest.ts";
import { bucketRange, rangeTest } from "../../replicator/node/digest-ranges.ts";
import { differences } from "../helpers/digests.ts";
import { both, closeAfterEach, type Engine, nodeOf } from "../helpers/pair.ts";

closeAfterEach();

const PAIRS: readonly [Engine, Engine][] = [
  ["postgres", "postgres"],
  ["postgres", "sqlite"],
  ["sqlite", "sqlite"],
  ["sqlite", "postgres"],
];
const local = (engine: Engine, table: string): string => (engine === "postgres" ? `public.${table}` : table);

interface Keyed {
  readonly table: string;
  readonly ddl: string;
  readonly key: fc.Arbitrary<string>;
}

/** Keys as SQL literals. Texts meet collations, case, blanks and the ends of what sorts. */
const KEYED: readonly Keyed[] = [
  { table: "whole", ddl: "id bigint primary key, v text", key: fc.integer({ min: -30, max: 30 }).map(String) },
  {
    table: "named",
    ddl: "id text not null primary key, v text",
    key: fc
      .constantFrom("a", "A", "b", "B", "aa", "a b", "ä", "z", "Z", "", " ", "1", "10", "9", "é", "e\u0301")
      .map((text) => `'${text}'`),
  },
  {
    table: "twofold",
    ddl: "a integer not null, id bigint not null, v text, primary key (a, id)",
    key: fc.tuple(fc.integer({ min: -3, max: 3 }), fc.integer({ min: -4, max: 4 })).map(([a, id]) => `${a}, ${id}`),
  },
  {
    table: "unique_id",
    ddl: "id uuid not null primary key, v text",
    key: fc.integer({ min: 0, max: 40 }).map((n) => `'${(n * 6).toString(16).padStart(2, "0")}bc5f00-0000-4000-8000-0000000000${n % 10}f'`),
  },
];
const ddl = KEYED.map(({ table, ddl: columns }) => `create table ${table} (${columns})`).join("; ");
const SCHEMA = { postgres: ddl.replaceAll("create table ", "create table public."), sqlite: both(ddl).sqlite };

const rows = (key: fc.Arbitrary<string>): fc.Arbitrary<Map<string, string>> =>
  fc.array(fc.tuple(key, fc.constantFrom("x", "y", "")), { maxLength: 25 }).map((entries) => new Map(entries));

describe.each(PAIRS)("%s and %s", (above, below) => {
  test("what is told to differ is exactly what does, whatever the key", async () => {
    const tables = KEYED.map(({ table }) => ({ name: table }));
    const parent = await nodeOf(above, "hub", SCHEMA, tables);
    const child = await nodeOf(below, "store", SCHEMA, tables);
    const cases = fc.tuple(...KEYED.map(({ key }) => fc.tuple(rows(key), rows(key))));
    await fc.assert(
      fc.asyncProperty(cases, async (drawn) => {
        const filled = (engine: Engine, side: 0 | 1): string =>
          drawn
            .flatMap((pair, at) => {
              const table = local(engine, KEYED[at]!.table);
              return [`delete from ${table}`, ...[...pair[side]].map(([key, v]) => `insert into ${table} values (${key}, '${v}')`)];
            })
            .join("; ");
        await parent.write(filled(above, 0));
        await child.write(filled(below, 1));
        const found = await differences(
          parent.node,
          child.node,
          tables.map(({ name }) => name),
        );
        for (const [at, [a, b]] of drawn.entries()) {
          const differing = [...new Set([...a.keys(), ...b.keys()])].filter((key) => a.get(key) !== b.get(key));
          expect(found[at]?.found.length, KEYED[at]?.table).toBe(differing.length);
          expect(found[at]?.found.filter(({ parent: one }) => one === null).length).toBe(differing.filter((key) => !a.has(key)).length);
          expect(found[at]?.found.filter(({ child: one }) => one === null).length).toBe(differing.filter((key) => !b.has(key)).length);
        }
      }),
      { numRuns: 40 },
    );
  });

  test("one row in many is found, and rows before the first, behind the last, and a block that only one side has", async () => {
    const tables = [{ name: "whole" }, { name: "named" }];
    const parent = await nodeOf(above, "hub", SCHEMA, tables);
    const child = await nodeOf(below, "store", SCHEMA, tables);
    const many = (engine: Engine): string =>
      engine === "postgres"
        ? "select g, 'v' || g from generate_series(1, 30000) g"
        : "with recursive s(g) as (select 1 union all select g + 1 from s where g < 30000) select g, 'v' || g from s";
    for (const [node, engine] of [
      [parent, above],
      [child, below],
    ] as const) {
      await node.write(`insert into ${local(engine, "whole")} ${many(engine)}; insert into ${local(engine, "named")} ${many(engine)}`);
    }
    await child.write(
      `delete from ${local(below, "whole")} where id = 12345; update ${local(below, "whole")} set v = 'other' where id = 29999;
       insert into ${local(below, "whole")} values (-5, 'before'), (99999, 'behind'); update ${local(below, "named")} set v = 'other' where id = '777'`,
    );
    await parent.write(`insert into ${local(above, "whole")} values (100000, 'behind all')`);
    const [whole, named] = await differences(parent.node, child.node, ["whole", "named"]);
    expect(whole?.found.map(({ key }) => Number(JSON.parse(key)[0])).sort((a, b) => a - b)).toEqual([-5, 12345, 29999, 99999, 100000]);
    expect(named?.found.map(({ key }) => JSON.parse(key)[0].replace("'", ""))).toEqual(["777"]);
    expect(named?.rows).toBe(30_000);
    // more rows behind the last than are told one by one
    const block = many(below).replace("30000", "90000").replace("30000", "90000").replace("select g, 'v'", "select g + 200000, 'v'");
    await child.write(`insert into ${local(below, "whole")} ${block}`);
    const [again] = await differences(parent.node, child.node, ["whole"]);
    expect(again?.found.length).toBe(5 + 90_000);
  });
});

test("digests of many rows tell every order, every repetition and every absence", () => {
  const hex = fc.array(fc.constantFrom(..."0123456789abcdef"), { minLength: 32, maxLength: 32 }).map((digits) => digits.join(""));
  fc.assert(
    fc.property(fc.array(hex, { minLength: 1, maxLength: 40 }), (digests) => {
      const [sum, chain] = [new SumDigest(), new ChainDigest()];
      for (const digest of digests) {
        sum.add(digest);
        chain.add(digest);
      }
      const [high, low] = [0, 16].map((from) =>
        digests.reduce((total, digest) => total + BigInt(`0x${digest.slice(from, from + 16)}`), 0n),
      );
      expect(sum.digest).toBe(sumsText(high!, low!));
      // two rows that differ alike do not cancel each other
      const twice = new SumDigest();
      for (const digest of [...digests, digests[0]!, digests[0]!]) twice.add(digest);
      expect(`${twice.rows} ${twice.digest}`).not.toBe(`${sum.rows} ${sum.digest}`);
      const short = new ChainDigest();
      for (const digest of digests.slice(1)) short.add(digest);
      expect(short.digest).not.toBe(chain.digest);
    }),
  );
  expect(digestOf(["1", null])).not.toBe(digestOf(["1", ""]));
});

test("every key digest lies in one bucket, and in the ranges that hold it", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 4095 }), fc.integer({ min: 1, max: 3 }), (number, digits) => {
      const digest = `${number.toString(16).padStart(3, "0")}5a`;
      const all = Array.from({ length: 16 ** digits }, (_, at) => bucketRange(at.toString(16).padStart(digits, "0")));
      const holding = all.filter((range) => rangeTest([range])(digest));
      expect(holding).toEqual([bucketRange(digest.slice(0, digits))]);
      expect(rangeTest(all)(digest)).toBe(true);
      expect(rangeTest(all.filter((range) => range.from !== digest.slice(0, digits)))(digest)).toBe(false);
    }),
  );
});
