import fc from "fast-check";
import { expect, test } from "vitest";
import { tableName } from "../../replicator/change/names.ts";
import type { Reference } from "../../replicator/change/shape.ts";
import { dependantsOf, ReferredRows, type Referring, referredFirst } from "../../replicator/node/references.ts";
import { standoff } from "../../replicator/node/standoff.ts";

const NODE = tableName("node");
const ABOVE: Reference = { table: NODE, columns: ["above"], to: ["ID"] };

interface Item {
  readonly id: number;
  readonly above: number | null;
}
const referring = ({ id, above }: Item): Referring => ({
  table: NODE,
  row: { id: { i: String(id) }, above: above === null ? null : { i: String(above) } },
  references: [ABOVE],
});

const items = fc
  .uniqueArray(fc.nat(30), { minLength: 1, maxLength: 20 })
  .chain((ids) => fc.tuple(...ids.map((id) => fc.record({ id: fc.constant(id), above: fc.option(fc.nat(30), { nil: null }) }))));

test("what others refer to comes first, rings aside, and nothing is lost", () => {
  fc.assert(
    fc.property(items, (given) => {
      const ordered = referredFirst(given, referring);
      expect([...ordered].sort((a, b) => a.id - b.id)).toEqual([...given].sort((a, b) => a.id - b.id));
      const byId = new Map(given.map((item) => [item.id, item]));
      const inRing = (item: Item): boolean => {
        let at = byId.get(item.above ?? -1);
        for (let steps = 0; at !== undefined && steps <= given.length; steps++, at = byId.get(at.above ?? -1)) if (at === item) return true;
        return false;
      };
      for (const item of given) {
        const referred = byId.get(item.above ?? -1);
        if (referred === undefined || inRing(item)) continue;
        expect(ordered.indexOf(referred)).toBeLessThan(ordered.indexOf(item));
      }
    }),
  );
});

test("a chain as long as a packet is put in order", () => {
  const chain = Array.from({ length: 20_000 }, (_, id): Item => ({ id, above: id + 1 }));
  expect(referredFirst(chain, referring)[0]?.id).toBe(19_999);
});

test("dependants are found through others, and only they", () => {
  fc.assert(
    fc.property(items, fc.nat(30), (given, root) => {
      const roots = new Set(given.filter(({ id }) => id === root));
      const found = dependantsOf(roots, given, referring);
      const expected = new Set<Item>();
      for (let grown = true; grown; ) {
        grown = false;
        for (const item of given) {
          const hangs = [...roots, ...expected].some(({ id }) => id === item.above);
          if (!hangs || expected.has(item) || roots.has(item)) continue;
          expected.add(item);
          grown = true;
        }
      }
      expect(found).toEqual(expected);
    }),
  );
});

test("rows are found by what refers to them until they are taken out again", () => {
  const rows = new ReferredRows<string>([ABOVE]);
  expect([rows.isEmpty, rows.concerns(NODE), rows.concerns(tableName("other"))]).toEqual([true, true, false]);
  rows.add(NODE, { id: { i: "7" } }, "seven");
  expect(rows.referredBy(referring({ id: 1, above: 7 })).map(({ items: found }) => [...found])).toEqual([["seven"]]);
  expect(rows.referredBy(referring({ id: 1, above: null }))).toEqual([]);
  rows.remove(NODE, { id: { i: "7" } }, "seven");
  expect(rows.isEmpty).toBe(true);
});

test("changes go together when each obstacle is cleared by another of them, and one bystander keeps back whoever waits for it", () => {
  // a ring of three; one that waits for a bystander; one that waits for that one
  const obstacles = new Map<string, { releases: string[] }[]>([
    ["a", [{ releases: ["b"] }]],
    ["b", [{ releases: ["c"] }]],
    ["c", [{ releases: ["a"] }]],
    ["d", [{ releases: [] }, { releases: ["a"] }]],
    ["e", [{ releases: ["d"] }]],
    ["f", [{ releases: ["d", "a"] }]],
  ]);
  expect([...standoff(obstacles)].sort()).toEqual(["a", "b", "c", "f"]);
});
