import fc from "fast-check";
import { expect, test } from "vitest";
import type { SimplePolicy } from "../../replicator/change/verdict.ts";
import { postgresNode, sqliteNode, type TestNode, type TestTable, testLink } from "../helpers/nodes.ts";

const PG = "create table public.item (id bigint primary key, region text, note text)";
const SQLITE = "create table item (id integer primary key, region text, note text)";
const REGIONS = ["north", "south"] as const;

/** More of them explore further. */
const RUNS = Number(process.env.TOMBOLO_HISTORIES ?? 8);

type Engine = "postgres" | "sqlite";
/** Engine and parent (by index) of each node; the region of each link. */
const TREES: { readonly [name: string]: readonly (readonly [Engine, number | null, number])[] } = {
  "postgres over sqlite and postgres": [
    ["postgres", null, 0],
    ["sqlite", 0, 0],
    ["postgres", 0, 1],
  ],
  "sqlite over sqlite and postgres": [
    ["sqlite", null, 0],
    ["sqlite", 0, 0],
    ["postgres", 0, 1],
  ],
  "postgres over sqlite over postgres": [
    ["postgres", null, 0],
    ["sqlite", 0, 0],
    ["postgres", 1, 0],
  ],
};

const region = fc.constantFrom("north", "south", "west", null);
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("write" as const), node: fc.nat(2), id: fc.nat(4), region }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("edit" as const), node: fc.nat(2), id: fc.nat(4) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("delete" as const), node: fc.nat(2), id: fc.nat(4) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("rekey" as const), node: fc.nat(2), id: fc.nat(4), to: fc.nat(4) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("sync" as const), link: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("params" as const), link: fc.nat(1), to: fc.nat(1) }) },
);

for (const [name, nodes] of Object.entries(TREES)) {
  test(`${name}: every child ends with its rows of its parent, and what was refused is in the history`, {
    timeout: 30_000 * RUNS,
  }, async () => {
    for (const policy of ["parent_wins", "child_wins", "newest_wins"] as SimplePolicy[]) {
      const tables: TestTable[] = [{ name: "item", policy, filter: "region = :region" }];
      const open: TestNode[] = [];
      try {
        for (const [index, [engine]] of nodes.entries()) {
          open.push(engine === "postgres" ? await postgresNode(`n${index}`, PG, tables) : await sqliteNode(`n${index}`, SQLITE, tables));
        }
        const at = (index: number): TestNode => open[index] as TestNode;
        const table = (index: number): string => (nodes[index]?.[0] === "postgres" ? "public.item" : "item");
        const children = nodes.flatMap(([, parent], child) => (parent === null ? [] : [{ parent, child }]));
        const regions: number[] = children.map(({ child }) => nodes[child]?.[2] ?? 0);
        const make = (link: number) => {
          const { parent, child } = children[link] as (typeof children)[number];
          return testLink(at(parent).node, at(child).node, tables, { params: { region: REGIONS[regions[link] ?? 0] as string } });
        };
        const links = children.map((_, link) => make(link));
        const settle = async (): Promise<void> => {
          for (let round = 0; round < 15; round++) {
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
        let token = 0;
        const written = new Set<string>();
        /** Tokens that somebody has replaced or deleted who saw them. */
        const replaced = new Set<string>();
        const see = async (node: number, id: number): Promise<string | null> => {
          const [row] = await at(node).rows(`select note from ${table(node)} where id = ${id}`);
          return row?.[0] ?? null;
        };
        await fc.assert(
          fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
            for (const next of steps) {
              if (next.kind === "sync") await links[next.link]?.settle();
              else if (next.kind === "params") {
                regions[next.link] = next.to;
                links[next.link] = make(next.link);
              } else {
                const { node, id } = next;
                const over = await see(node, id);
                const value = `t${++token}.`;
                const note = `'${value}'`;
                if (next.kind === "rekey") {
                  if (over === null || (await see(node, next.to)) !== null) continue;
                  await at(node).write(`update ${table(node)} set id = ${next.to} where id = ${id}`);
                  continue;
                }
                if (next.kind !== "write" && over === null) continue;
                if (next.kind === "delete") await at(node).write(`delete from ${table(node)} where id = ${id}`);
                else if (next.kind === "edit") await at(node).write(`update ${table(node)} set note = ${note} where id = ${id}`);
                else {
                  const place = next.region === null ? "null" : `'${next.region}'`;
                  await at(node).write(
                    `insert into ${table(node)} (id, region, note) values (${id}, ${place}, ${note})
                      on conflict (id) do update set region = excluded.region, note = excluded.note`,
                  );
                }
                if (over !== null) replaced.add(over);
                if (next.kind !== "delete") written.add(value);
              }
            }
            await settle();
            for (const [link, { parent, child }] of children.entries()) {
              const rows = (node: number, where = ""): Promise<unknown> =>
                at(node).rows(`select id, region, note from ${table(node)} ${where} order by id`);
              expect(await rows(child)).toEqual(await rows(parent, `where region = '${REGIONS[regions[link] ?? 0]}'`));
            }
            const places = [];
            for (const [index, [engine]] of nodes.entries()) {
              const prefix = engine === "postgres" ? "tombolo." : "tombolo_";
              places.push(await at(index).rows(`select note from ${table(index)}`));
              places.push(await at(index).rows(`select parent_row, child_row, base_row from ${prefix}conflict_history`));
              places.push(await at(index).rows(`select old, new from ${prefix}parked_change`));
            }
            const found = JSON.stringify(places);
            expect([...written].filter((value) => !replaced.has(value) && !found.includes(value))).toEqual([]);
          }),
          { numRuns: RUNS, endOnFailure: true },
        );
      } finally {
        for (const node of open) await node.close();
      }
    }
  });
}
