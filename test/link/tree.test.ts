import fc from "fast-check";
import { expect, test } from "vitest";
import type { Policy } from "../../replicator/change/verdict.ts";
import { postgresNode, sqliteNode, type TestNode, testLink } from "../helpers/nodes.ts";

const PG = "create table public.item (id bigint primary key, a text, b text)";
const SQLITE = "create table item (id integer primary key, a text, b text)";
const ROWS = "select id, a, b from item order by id";

type Engine = "postgres" | "sqlite";
/** Engine and parent (by index) of each node. */
const TREES: { readonly [name: string]: readonly (readonly [Engine, number | null])[] } = {
  "postgres over postgres over sqlite": [
    ["postgres", null],
    ["postgres", 0],
    ["sqlite", 1],
  ],
  "postgres over two sqlite": [
    ["postgres", null],
    ["sqlite", 0],
    ["sqlite", 0],
  ],
  "sqlite over postgres over sqlite": [
    ["sqlite", null],
    ["postgres", 0],
    ["sqlite", 1],
  ],
  "sqlite over sqlite over sqlite": [
    ["sqlite", null],
    ["sqlite", 0],
    ["sqlite", 1],
  ],
};

type Step =
  | { readonly kind: "write"; readonly node: number; readonly id: number; readonly column: "a" | "b" }
  | { readonly kind: "delete"; readonly node: number; readonly id: number }
  | { readonly kind: "sync"; readonly link: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("write" as const),
      node: fc.nat(2),
      id: fc.nat(4),
      column: fc.constantFrom("a" as const, "b" as const),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("delete" as const), node: fc.nat(2), id: fc.nat(4) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("sync" as const), link: fc.nat(1) }) },
);

for (const [name, nodes] of Object.entries(TREES)) {
  test(`${name}: whatever is written where, all nodes end equal, and then nothing moves any more`, { timeout: 120_000 }, async () => {
    for (const policy of ["parent_wins", "child_wins", "newest_wins"] as Policy[]) {
      const tables = [{ name: "item", policy }];
      const open: TestNode[] = [];
      try {
        for (const [index, [engine]] of nodes.entries()) {
          open.push(engine === "postgres" ? await postgresNode(`n${index}`, PG, tables) : await sqliteNode(`n${index}`, SQLITE, tables));
        }
        const links = nodes.flatMap(([, parent], index) =>
          parent === null ? [] : [testLink((open[parent] as TestNode).node, (open[index] as TestNode).node, tables)],
        );
        const settle = async (): Promise<void> => {
          for (let round = 0; round < 12; round++) {
            let moved = 0;
            for (const link of links) {
              const { sent, received, parked } = await link.settle();
              moved += sent + received + parked;
            }
            if (moved === 0) return;
          }
          throw new Error("the nodes never come to rest");
        };
        await settle();
        let value = 0;
        await fc.assert(
          fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
            for (const next of steps) {
              if (next.kind === "sync") {
                await links[next.link]?.settle();
                continue;
              }
              value += 1;
              const write =
                next.kind === "delete"
                  ? `delete from item where id = ${next.id}`
                  : `insert into item (id, ${next.column}) values (${next.id}, 'v${value}') on conflict (id) do update set ${next.column} = excluded.${next.column}`;
              await open[next.node]?.write(write.replaceAll("item", nodes[next.node]?.[0] === "postgres" ? "public.item" : "item"));
            }
            await settle();
            const [hub, ...others] = await Promise.all(open.map((node) => node.rows(ROWS)));
            for (const rows of others) expect(rows).toEqual(hub);
          }),
          { numRuns: 6 },
        );
      } finally {
        for (const node of open) await node.close();
      }
    }
  });
}
