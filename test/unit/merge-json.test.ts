import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { layoutOf, readJson, writeJson } from "../../replicator/conflict/merge/json-text.ts";
import { mergeColumn } from "../../replicator/conflict/merge/merge-column.ts";

interface Texts {
  readonly base: string;
  readonly parent: string;
  readonly child: string;
}

const merge = (texts: Texts) => mergeColumn("json", texts);
/** The merged JSON as a plain value; undefined where there is an overlap. */
function plain(texts: { base: unknown; parent: unknown; child: unknown }): unknown {
  const [base, parent, child] = [texts.base, texts.parent, texts.child].map((value) => JSON.stringify(value)) as [string, string, string];
  const result = merge({ base, parent, child });
  return "value" in result ? JSON.parse(String(result.value)) : undefined;
}

describe("both sides' edits survive", () => {
  const CASES: readonly [promise: string, base: string, parent: string, child: string, merged: string][] = [
    ["keys at any depth", '{"a":1,"b":{"c":1}}', '{"a":2,"b":{"c":1}}', '{"a":1,"b":{"c":1,"d":"x"}}', '{"a":2,"b":{"c":1,"d":"x"}}'],
    ["a key removed and another changed", '{"a":1,"b":1}', '{"b":1}', '{"a":1,"b":2}', '{"b":2}'],
    [
      "the parent's order, the child's new keys behind",
      '{"a":1,"b":1}',
      '{"b":1,"x":1,"a":1}',
      '{"y":1,"a":1,"b":2}',
      '{"b":2,"x":1,"a":1,"y":1}',
    ],
    ["objects that both put in", "{}", '{"o":{"a":1}}', '{"o":{"b":1}}', '{"o":{"a":1,"b":1}}'],
    [
      "every digit",
      '{"a":12345678901234567890,"b":1}',
      '{"a":12345678901234567891,"b":1}',
      '{"a":12345678901234567890,"b":1e400}',
      '{"a":12345678901234567891,"b":1e400}',
    ],
    ["numbers as they are written", '{"a":1.0,"b":1}', '{"a":1.00,"b":1}', '{"a":1.0,"b":2}', '{"a":1.00,"b":2}'],
    ["a number that a tool wrote anew", '{"a":1.0,"b":1}', '{"a":2.0,"b":1}', '{"a":1,"b":2}', '{"a":2.0,"b":2}'],
    ["a text that a tool escaped", '{"a":"é","b":1}', '{"a":"e","b":1}', String.raw`{"a":"\u00e9","b":2}`, '{"a":"e","b":2}'],
    [
      "keys of any name",
      '{"__proto__":{"a":1},"constructor":1}',
      '{"__proto__":{"a":2},"constructor":1}',
      '{"__proto__":{"a":1,"b":1},"constructor":2}',
      '{"__proto__":{"a":2,"b":1},"constructor":2}',
    ],
    ["elements put in at both ends", "[1,2,3]", "[1,2,3,4]", "[0,1,2,3]", "[0,1,2,3,4]"],
    ["elements put in at one place", "[1]", "[1,3]", "[1,2]", "[1,2,3]"],
    ["an element taken out, another put in", "[1,2,3]", "[1,3]", "[1,2,3,4]", "[1,3,4]"],
    ["an element moved, another put in", "[1,2,3]", "[3,1,2]", "[1,2,3,9]", "[3,1,2,9]"],
    [
      "elements with ids, moved by one side and changed by the other",
      '[{"id":1,"q":1},{"id":2,"q":1}]',
      '[{"id":2,"q":1},{"id":1,"q":1}]',
      '[{"id":1,"q":5},{"id":2,"q":1},{"id":3,"q":1}]',
      '[{"id":2,"q":1},{"id":1,"q":5},{"id":3,"q":1}]',
    ],
    [
      "elements with ids that both changed",
      '[{"id":1,"p":1,"q":1}]',
      '[{"id":1,"p":2,"q":1}]',
      '[{"id":1,"p":1,"q":2}]',
      '[{"id":1,"p":2,"q":2}]',
    ],
    [
      "an element with an id that both put in",
      "[]",
      '[{"id":"x","p":2}]',
      '[{"id":"y"},{"id":"x","q":2}]',
      '[{"id":"x","p":2,"q":2},{"id":"y"}]',
    ],
    [
      "elements without ids, moved by one side and changed by the other",
      '[{"n":"a","q":1,"r":3},{"n":"b","q":1}]',
      '[{"n":"b","q":1},{"n":"a","q":1,"r":3}]',
      '[{"n":"a","q":5,"r":3},{"n":"b","q":1}]',
      '[{"n":"b","q":1},{"n":"a","q":5,"r":3}]',
    ],
    ["elements without ids that both changed", '[{"p":1,"q":1}]', '[{"p":2,"q":1}]', '[{"p":1,"q":2}]', '[{"p":2,"q":2}]'],
    ["the layout of the parent", '{\n  "a": 1\n}', '{\n  "a": 2\n}', '{"a":1,"b":[1]}', '{\n  "a": 2,\n  "b": [\n    1\n  ]\n}'],
    ["the layout that Postgres prints", '{"a": 1}', '{"a": 2}', '{"a": 1, "b": [1, 2]}', '{"a": 2, "b": [1, 2]}'],
  ];

  test.each(CASES)("%s", (_promise, base, parent, child, expected) => {
    expect(merge({ base, parent, child })).toEqual({ value: expected });
  });

  test("two inserts are merged key by key", () => {
    for (const base of [undefined, null]) {
      expect(mergeColumn("json", { base, parent: '{"a":1,"s":1}', child: '{"s":1,"b":2}' })).toEqual({ value: '{"a":1,"s":1,"b":2}' });
    }
  });
});

describe("an overlap is said, with the path", () => {
  const CASES: readonly [what: string, base: string, parent: string, child: string, reason: string][] = [
    [
      "a value changed in two ways",
      '{"a":{"b c":1}}',
      '{"a":{"b c":2}}',
      '{"a":{"b c":3}}',
      'both sides changed $.a["b c"] in different ways',
    ],
    ["removed and changed", '{"a":[{"b":1}]}', "{}", '{"a":[{"b":2}]}', "one side removed what the other changed, at $.a"],
    ["an element changed in two ways", "[1,2,3]", "[1,5,3]", "[1,7,3]", "both sides changed $[1] in different ways"],
    ["an element removed and changed", "[1,2,3]", "[1,3]", "[1,7,3]", "both sides changed the same elements in different ways, at $"],
    [
      "an element with an id removed and changed",
      '[{"id":1,"q":1},{"id":2}]',
      '[{"id":2}]',
      '[{"id":1,"q":2},{"id":2}]',
      "one side removed what the other changed, at $[0]",
    ],
    ["an element moved to two places", "[1,2,3,4]", "[2,3,4,1]", "[2,3,1,4]", "both sides moved the same thing to different places, at $"],
    ["arrays that both put in", "{}", '{"a":[1]}', '{"a":[2]}', "both sides changed $.a in different ways"],
    ["a key twice", '{"a":1,"a":2}', '{"a":2}', '{"a":3}', "the base's JSON cannot be read: an object has a key twice at character 11"],
    ["no JSON", '{"a":1}', "{a:1}", '{"a":3}', "the parent's JSON cannot be read: a key is missing at character 2"],
    ["JSON that goes on", '{"a":1}', '{"a":2}', '{"a":3} x', "the child's JSON cannot be read: it goes on behind its end at character 9"],
    ["too deep", "1", "[".repeat(300) + "]".repeat(300), "2", "the parent's JSON cannot be read: it is nested too deeply at character 202"],
  ];

  test.each(CASES)("%s", (_what, base, parent, child, reason) => {
    expect(merge({ base, parent, child })).toEqual({ overlap: reason });
  });

  test("NULL, other storage classes, and what is too long", () => {
    const long = `"${"x".repeat(1_000_000)}"`;
    const cases = [
      { base: "1", parent: null, child: "2" },
      { base: { i: "1" }, parent: "2", child: "3" },
      { base: "1", parent: { i: "2" }, child: { i: "3" } },
      { base: long, parent: "2", child: "3" },
    ];
    for (const edits of cases) expect(mergeColumn("json", edits)).toEqual({ overlap: expect.any(String) });
  });

  test("arrays too long to compare are refused before the memory is taken", () => {
    const array = (first: number): string => JSON.stringify(Array.from({ length: 5_000 }, (_, at) => first + at));
    expect(merge({ base: array(0), parent: array(10_000), child: array(20_000) })).toEqual({
      overlap: "too many elements to compare, at $",
    });
  });
});

describe("reading and writing", () => {
  const jsonish = fc.string({
    unit: fc.constantFrom("{", "}", "[", "]", ":", ",", '"', "\\", "u", "0", "1", "-", ".", "e", "a", " ", "\n", "null", "true", "\u0001"),
    maxLength: 12,
  });

  test("what JSON.parse reads is read, what it refuses is refused", () => {
    fc.assert(
      fc.property(fc.oneof(jsonish, fc.json()), (text) => {
        let expected: unknown;
        try {
          expected = JSON.parse(text);
        } catch {
          expect(readJson(text)).toHaveProperty("problem");
          return;
        }
        const read = readJson(text);
        if ("problem" in read) expect(read.problem).toContain("a key twice");
        else expect(JSON.parse(writeJson(read.json, layoutOf(text)))).toEqual(expected);
      }),
      { numRuns: 2_000 },
    );
  });

  test("what is written is read back as the same, digit by digit, in every layout", () => {
    const literal = fc.constantFrom("1", "1.0", "-0", "1e400", "1E+2", "0.10", "12345678901234567890.123456789");
    const text = fc.array(fc.tuple(fc.string(), literal), { maxLength: 4 }).map((members) => {
      const unique = new Map(members);
      return `{${[...unique].map(([key, number]) => `${JSON.stringify(key)}:[${number},{}]`).join(",")}}`;
    });
    fc.assert(
      fc.property(text, fc.constantFrom("[1]", "[1, 2]", "[\n\t1\n]"), (written, like) => {
        const read = readJson(written);
        if ("problem" in read) throw new Error(read.problem);
        const again = readJson(writeJson(read.json, layoutOf(like)));
        expect("json" in again && writeJson(again.json, layoutOf("[1]"))).toBe(written);
      }),
    );
  });
});

type Tree = number | { readonly [key: string]: Tree };
const isTree = (value: Tree | undefined): value is { readonly [key: string]: Tree } => typeof value === "object";
const tree: fc.Memo<Tree> = fc.memo((depth) =>
  depth <= 1
    ? fc.nat(2)
    : fc.oneof(fc.nat(2), fc.dictionary(fc.constantFrom("a", "b", "c"), tree(depth - 1), { maxKeys: 3, noNullPrototype: true })),
);

/** Every node of the tree by its path; an object is there as `{}`. */
function nodes(value: Tree, path = "$", found = new Map<string, string>()): Map<string, string> {
  found.set(path, isTree(value) ? "{}" : String(value));
  if (isTree(value)) for (const [key, member] of Object.entries(value)) nodes(member, `${path}.${key}`, found);
  return found;
}

/** The naive merge: node by node, without looking at the tree; undefined where that makes no tree. */
function oracle(base: Tree, parent: Tree, child: Tree): Map<string, string> | undefined {
  const [before, ours, theirs] = [nodes(base), nodes(parent), nodes(child)];
  const merged = new Map<string, string>();
  for (const path of new Set([...before.keys(), ...ours.keys(), ...theirs.keys()])) {
    const [was, our, their] = [before.get(path), ours.get(path), theirs.get(path)];
    if (our !== their && our !== was && their !== was) return undefined;
    const now = our === was ? their : our;
    if (now !== undefined) merged.set(path, now);
  }
  for (const path of merged.keys()) {
    const holder = path.slice(0, path.lastIndexOf("."));
    if (path !== "$" && merged.get(holder) !== "{}") return undefined;
  }
  return merged;
}

describe("whatever the trees", () => {
  const three = fc.record({ base: tree(4), parent: tree(4), child: tree(4) });

  test("objects are merged as a naive merge of all their nodes would", () => {
    let clean = 0;
    fc.assert(
      fc.property(three, ({ base, parent, child }) => {
        const result = plain({ base, parent, child }) as Tree | undefined;
        const expected = oracle(base, parent, child);
        if (expected !== undefined) clean++;
        expect(result === undefined ? undefined : Object.fromEntries(nodes(result))).toEqual(expected && Object.fromEntries(expected));
      }),
      { numRuns: 5_000 },
    );
    expect(clean).toBeGreaterThan(500);
  });

  test("one side's edit alone is that side's text; swapping the sides changes nothing but the order", () => {
    fc.assert(
      fc.property(three, ({ base, parent, child }) => {
        const [b, p] = [JSON.stringify(base), JSON.stringify(parent)];
        expect(merge({ base: b, parent: p, child: b })).toEqual({ value: p });
        expect(merge({ base: b, parent: b, child: p })).toEqual({ value: p });
        expect(plain({ base, parent, child })).toEqual(plain({ base, parent: child, child: parent }));
      }),
    );
  });
});

/** What becomes of one element, and what is put in behind it. */
const element = fc.record({
  who: fc.constantFrom<"nobody" | "parent" | "child">("nobody", "parent", "child"),
  edit: fc.constantFrom<"change" | "delete">("change", "delete"),
  insert: fc.constantFrom<readonly ("parent" | "child")[]>([], [], ["parent"], ["child"]),
});

describe("arrays", () => {
  test("edits of different elements all apply, as one hand would have made them", () => {
    fc.assert(
      fc.property(fc.array(element, { minLength: 1, maxLength: 8 }), (plan) => {
        const written = (by: readonly string[]): string[] => [
          "start",
          ...plan.flatMap(({ who, edit, insert }, at) => [
            ...(by.includes(who) ? (edit === "delete" ? [] : [`${who}${at}`]) : [`base${at}`]),
            "between",
            ...insert.filter((side) => by.includes(side)).map((side) => `${side}Put${at}`),
            `fixed${at}`,
          ]),
        ];
        expect(plain({ base: written([]), parent: written(["parent"]), child: written(["child"]) })).toEqual(written(["parent", "child"]));
      }),
    );
  });

  test.each(["id", "name"])("elements told apart by %s are changed where the other side moved them", (name) => {
    const all = [0, 1, 2, 3, 4, 5];
    const order = fc.shuffledSubarray(all, { minLength: 6, maxLength: 6 });
    fc.assert(
      fc.property(order, fc.subarray(all), (moved, changed) => {
        const list = (places: readonly number[], edited: readonly number[]) =>
          places.map((at) => ({ [name]: `n${at}`, kind: `k${at}`, price: edited.includes(at) ? 2 : 1 }));
        expect(plain({ base: list(all, []), parent: list(moved, []), child: list(all, changed) })).toEqual(list(moved, changed));
      }),
    );
  });

  test("no element is lost, comes back, or comes from nowhere", () => {
    const small = fc.array(fc.nat(4), { maxLength: 6 });
    fc.assert(
      fc.property(small, small, small, (base, parent, child) => {
        const result = plain({ base, parent, child }) as number[] | undefined;
        expect(plain({ base, parent: child, child: parent })).toEqual(result);
        if (result === undefined) return;
        const count = (list: readonly number[], wanted: number): number => list.filter((value) => value === wanted).length;
        for (const value of [0, 1, 2, 3, 4]) {
          const [b, p, c, now] = [base, parent, child, result].map((list) => count(list, value)) as [number, number, number, number];
          if (b === 0) expect(now).toBeGreaterThanOrEqual(Math.max(p, c));
          if (p <= b && c <= b) expect(now).toBeLessThanOrEqual(Math.min(p, c));
          expect(now).toBeLessThanOrEqual(p + c);
        }
      }),
      { numRuns: 3_000 },
    );
  });

  test("with ids, an element is in exactly where a set of ids says so, once", () => {
    const ids = fc.uniqueArray(fc.nat(6), { maxLength: 6 });
    fc.assert(
      fc.property(ids, ids, ids, (base, parent, child) => {
        const list = (some: readonly number[]) => some.map((id) => ({ id }));
        const result = plain({ base: list(base), parent: list(parent), child: list(child) }) as { id: number }[] | undefined;
        if (result === undefined) return;
        const expected = [0, 1, 2, 3, 4, 5, 6].filter((id) =>
          base.includes(id) ? parent.includes(id) && child.includes(id) : parent.includes(id) || child.includes(id),
        );
        expect(result.map(({ id }) => id).sort()).toEqual(expected);
      }),
      { numRuns: 2_000 },
    );
  });
});
