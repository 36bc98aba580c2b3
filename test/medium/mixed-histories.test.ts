import fc from "fast-check";
import { expect, test } from "vitest";
import { MediaWorld } from "../helpers/media-world.ts";

const side = fc.constantFrom("hub" as const, "edge" as const);
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("write" as const), at: side, id: fc.integer({ min: 0, max: 5 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("delete" as const), at: side, id: fc.integer({ min: 0, max: 5 }) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("export" as const), at: side, again: fc.integer({ min: 0, max: 6 }) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("deliver" as const), at: side, order: fc.integer({ min: 0, max: 2 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("lose" as const), at: side }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("http" as const), at: side }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** More of them: TOMBOLO_HISTORIES=30. */
const RUNS = Number(process.env.TOMBOLO_HISTORIES ?? 6);

/** What an import may refuse while media are lost and late: each has its way back, which is an answer. */
const MAY_REFUSE = ["MEDIUM_GAP", "MEDIUM_FORK", "MEDIUM_ANSWER"];

const other = { hub: "edge", edge: "hub" } as const;

async function play(world: MediaWorld, steps: readonly Step[]): Promise<void> {
  const bags = { hub: [] as string[], edge: [] as string[] };
  const made = new Set<string>();
  let added = 0;
  for (const [at, each] of steps.entries()) {
    const node = world.nodes[each.at];
    if (each.kind === "write") {
      made.add(`new-${at}`);
      added += 1;
      await node.write(
        `insert into item values ('new-${at}', '${each.at}', ${at}); update item set qty = qty + 1 where id = 'sum';
         insert into item values ('shared-${each.id}', '${each.at} ${at}', ${at}) on conflict (id) do update set note = excluded.note`,
      );
    } else if (each.kind === "delete") await node.write(`delete from item where id = 'shared-${each.id}'`);
    else if (each.kind === "export") bags[each.at].push(await world.export(each.at, { again: each.again === 0 }));
    else if (each.kind === "lose") bags[each.at].pop();
    else if (each.kind === "http") await world.http();
    else {
      const files = bags[each.at];
      const ordered = each.order === 0 ? files : each.order === 1 ? files.toReversed() : files.slice(-1);
      // what is refused stays in the bag
      await world.import(other[each.at], ordered).catch((error: { code?: string }) => {
        if (!MAY_REFUSE.includes(error.code ?? "")) throw error;
      });
    }
  }
  await world.http();
  const rows = await world.same();
  expect(rows.find((row) => row.startsWith("sum "))).toBe(`sum - ${added}`);
  const ids = new Set(rows.map((row) => row.split(" ")[0]));
  expect([...made].filter((id) => !ids.has(id))).toEqual([]);
  // whatever became of the media before, they serve again: what was exported last counts as lost, and answers travel
  await world.nodes.edge.write("update item set qty = qty + 1 where id = 'sum'");
  await world.nodes.hub.write("update item set qty = qty + 1 where id = 'sum'");
  for (let round = 0; round < 3; round++) {
    for (const from of ["edge", "hub"] as const) await world.import(other[from], [await world.export(from, { again: round === 0 })]);
  }
  expect((await world.same()).find((row) => row.startsWith("sum "))).toBe(`sum - ${added + 2}`);
}

test.each(["sqlite", "postgres"] as const)(
  "a %s hub and its edge: however HTTP and files that come late, twice or never are mixed, nothing is lost and nothing happens twice",
  { timeout: 1_200_000 },
  async (engine) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), async (steps) => {
        const world = await MediaWorld.open(engine);
        try {
          await world.nodes.hub.write("insert into item values ('sum', '-', 0)");
          await world.http();
          await play(world, steps);
        } finally {
          await world.close();
        }
      }),
      { numRuns: RUNS * (engine === "sqlite" ? 3 : 1) },
    );
  },
);
