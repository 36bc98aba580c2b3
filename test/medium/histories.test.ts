import fc from "fast-check";
import { expect, test } from "vitest";
import { Journey } from "../helpers/journey.ts";

const side = fc.constantFrom("hub" as const, "store" as const);
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("write" as const), at: side, id: fc.integer({ min: 0, max: 8 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("delete" as const), at: side, id: fc.integer({ min: 0, max: 8 }) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("export" as const), at: side, again: fc.integer({ min: 0, max: 4 }) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("deliver" as const), at: side, order: fc.integer({ min: 0, max: 2 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("lose" as const), at: side }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** More of them: TOMBOLO_HISTORIES=30. */
const RUNS = Number(process.env.TOMBOLO_HISTORIES ?? 6);

/** What an import may refuse while media are lost and late: each has its way back, which is an answer. */
const MAY_REFUSE = ["MEDIUM_GAP", "MEDIUM_FORK", "MEDIUM_ANSWER"];

async function play(trip: Journey, steps: readonly Step[]): Promise<void> {
  const bags = { hub: [] as string[], store: [] as string[] };
  const made = new Set<string>();
  for (const [at, each] of steps.entries()) {
    const node = trip.nodes[each.at];
    if (each.kind === "write") {
      made.add(`new-${at}`);
      await node.write(
        `insert into orders values ('new-${at}', '${each.at}', ${at}); insert into orders values ('shared-${each.id}', '${each.at} ${at}', ${at}) on conflict (id) do update set note = excluded.note`,
      );
    } else if (each.kind === "delete") await node.write(`delete from orders where id = 'shared-${each.id}'`);
    else if (each.kind === "export") bags[each.at].push(await trip.export(each.at, { again: each.again === 0 }));
    else if (each.kind === "lose") bags[each.at].pop();
    else {
      const files = bags[each.at];
      const ordered = each.order === 0 ? files : each.order === 1 ? files.toReversed() : files.slice(-1);
      // what is refused stays in the bag
      await trip.import(each.at === "hub" ? "store" : "hub", ordered).catch((error: { code?: string }) => {
        if (!MAY_REFUSE.includes(error.code ?? "")) throw error;
      });
    }
  }
  // in the end nothing gets lost any more: what was exported last counts as lost, and answers travel
  for (const from of ["store", "hub", "store", "hub"] as const) {
    await trip.import(from === "hub" ? "store" : "hub", [await trip.export(from, { again: true })]);
  }
  await trip.settle();
  const rows = JSON.parse(await trip.same()) as string[][];
  const ids = new Set(rows.map(([id]) => id));
  expect([...made].filter((id) => !ids.has(id))).toEqual([]);
}

test.each([
  ["sqlite", "sqlite"],
  ["postgres", "sqlite"],
] as const)(
  "a %s hub and a %s store: however media get lost, come late, twice or in another order, both end equal, and nothing is lost",
  {
    timeout: 600_000,
  },
  async (...engines) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), async (steps) => {
        const trip = await Journey.open(engines);
        try {
          await trip.settle();
          await play(trip, steps);
        } finally {
          await trip.close();
        }
      }),
      { numRuns: RUNS * (engines[0] === "sqlite" ? 3 : 1) },
    );
  },
);
