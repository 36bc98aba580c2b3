import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { mergeColumn } from "../../replicator/conflict/merge/merge-column.ts";

interface Texts {
  readonly base: string;
  readonly parent: string;
  readonly child: string;
}

const merge = (texts: Texts) => mergeColumn("text", texts);
const swapped = ({ base, parent, child }: Texts): Texts => ({ base, parent: child, child: parent });
/** The merged text; fails where there is an overlap. */
function merged(texts: Texts): string {
  const result = merge(texts);
  if (!("value" in result)) throw new Error(`${result.overlap}: ${JSON.stringify(texts)}`);
  return String(result.value);
}
const wordsOf = (text: string): string[] => text.match(/[\p{L}\p{N}_]+/gu) ?? [];

describe("both sides' edits survive", () => {
  const CASES: readonly [promise: string, base: string, parent: string, child: string, merged: string][] = [
    ["edits of different words", "The quick fox jumps.", "The slow fox jumps.", "The quick fox leaps.", "The slow fox leaps."],
    ["words put in at one place", "The quick fox", "The quick brown fox", "The quick red fox", "The quick brown red fox"],
    ["words at both ends", "a b c", "a b c d", "x a b c", "x a b c d"],
    ["deletions that overlap", "one two three four five six", "one four five six", "one two three six", "one six"],
    [
      "lines put in at one place",
      "- milk\n- eggs\n",
      "- milk\n- tea\n- eggs\n",
      "- milk\n- bread\n- eggs\n",
      "- milk\n- bread\n- tea\n- eggs\n",
    ],
    ["the same line put in by both", "a\nc\n", "a\nb\nc\n", "a\nb\nc\nd\n", "a\nb\nc\nd\n"],
    ["a line put in by both, with more", "a\nz\n", "a\nb\nz\n", "a\nb\nzz top\n", "a\nb\nzz top\n"],
    ["neighbouring lines", "a\nb\nc\n", "a\nB\nc\n", "a\nb\nC\n", "a\nB\nC\n"],
    ["first words in an empty text", "", "Called back.", "Refund sent.", "Called back.\nRefund sent."],
    [
      "a paragraph that one side moved and the other edited",
      "one\n\ntwo\n\nthree is the last\n",
      "three is the last\n\none\n\ntwo\n",
      "one\n\ntwo\n\nthree was the last\n",
      "three was the last\n\none\n\ntwo\n",
    ],
    [
      "a sentence that one side moved and the other edited",
      "First of all. Second one goes here. Third is last.",
      "Third is last. First of all. Second one goes here.",
      "First of all. Second one goes here. Third is really last.",
      "Third is really last. First of all. Second one goes here.",
    ],
    ["a moved line that the other side deleted", "a\nb\nc\n", "b\nc\na\n", "b\nc\n", "b\nc\n"],
    ["a line moved by both to the same place", "a\nb\nc\n", "b\nc\na\n", "b\nc\na\nd\n", "b\nc\na\nd\n"],
    [
      "scripts without blanks",
      "吾輩は猫である。名前はまだ無い。",
      "吾輩は犬である。名前はまだ無い。",
      "吾輩は猫である。名前はもう有る。",
      "吾輩は犬である。名前はもう有る。",
    ],
    ["line ends that one side wrote anew", "a\r\nb\r\nc\r\n", "a\nB\nc\n", "a\r\nb\r\nc\r\nd\r\n", "a\nB\nc\nd\n"],
    ["CRLF where both keep it", "a\r\nb\r\n", "a\r\nB\r\n", "a\r\nb\r\nc\r\n", "a\r\nB\r\nc\r\n"],
    ["lines behind one without an end", "a", "a\nb", "a\nc", "a\nb\nc"],
    ["a line end that one side took away", "a\nb\n", "a\nb", "A\nb\n", "A\nb"],
    ["a line end that one side added", "a\nb", "a\nb\n", "A\nb", "A\nb\n"],
  ];

  test.each(CASES)("%s", (_promise, base, parent, child, expected) => {
    expect(merged({ base, parent, child })).toBe(expected);
    expect(merged({ base, parent: child, child: parent })).toBe(expected);
  });

  test("a text that was NULL is one that was empty", () => {
    expect(mergeColumn("text", { base: null, parent: "a", child: "b" })).toEqual({ value: "a\nb" });
  });
});

describe("an overlap is said, with the line", () => {
  const CASES: readonly [what: string, base: string, parent: string, child: string, reason: RegExp][] = [
    ["one word changed in two ways", "a\nb c\n", "a\nB c\n", "a\nbb c\n", /same words.*line 2/],
    ["a line deleted and changed", "x\ny\nz\n", "x\nz\n", "x\ny2\nz\n", /deleted what the other changed.*line 2/],
    ["a text emptied and added to", "a", "", "a\nb", /emptied/],
    ["a line moved to two places", "a\nb\nc\nd\n", "b\nc\nd\na\n", "b\na\nc\nd\n", /different places/],
    ["two halves of numbers", "price 12.50", "price 13.50", "price 12.70", /same words/],
    [
      "a rewritten sentence and a word in it",
      "The cat sat on the mat",
      "Completely other words stand here",
      "The old cat sat on the mat",
      /same words/,
    ],
    ["a moved line that became another", "a b\nc\nd\n", "c\nd\na b\n", "x y\nc\nd\n", /cannot be told/],
    ["words that would run together", "(", "(in", "(out", /run together/],
    ["a number that nobody wrote", "x.y", "1.y", "x.2", /run together/],
  ];

  test.each(CASES)("%s", (_what, base, parent, child, reason) => {
    expect(merge({ base, parent, child })).toEqual({ overlap: expect.stringMatching(reason) });
    expect(merge({ base, parent: child, child: parent })).toEqual({ overlap: expect.stringMatching(reason) });
  });

  test("NULL, blobs, numbers and what is too long", () => {
    const cases = [
      { base: "a", parent: null, child: "b" },
      { base: undefined, parent: "a", child: "b" },
      { base: "a", parent: { i: "1" }, child: "b" },
      { base: "a", parent: { b: "00" }, child: { b: "01" } },
      { base: "a", parent: "b", child: "c".repeat(1_000_001) },
      { base: "a", parent: "b", child: "\n".repeat(20_001) },
    ];
    for (const edits of cases) expect(mergeColumn("text", edits)).toEqual({ overlap: expect.any(String) });
  });
});

/** Small alphabets make texts that repeat themselves, move and collide. */
const nasty = fc.string({ unit: fc.constantFrom("a", "b", "c", " ", "\n", ".", "\r\n", "1", "-"), maxLength: 24 });
const part = fc.constantFrom("Ada", "Bob", "pays", "the", "rent", "12.50", "late.", "Why?", "\n", "\n\n", "(really)", "é", "👩‍👧");
const parts = fc.array(part, { maxLength: 16 });
const prose = parts.map((some) => some.join(" "));

type Step = readonly [kind: "put" | "delete" | "move" | "change", at: number, to: number, word: string];
const steps = fc.array(fc.tuple(fc.constantFrom<Step[0]>("put", "delete", "move", "change"), fc.nat(), fc.nat(), part), { maxLength: 3 });

/** What somebody makes of the text in a few steps. */
function edited(base: readonly string[], todo: readonly Step[]): string {
  const now = [...base];
  for (const [kind, at, to, word] of todo) {
    const place = at % (now.length + 1);
    if (kind === "put") now.splice(place, 0, word);
    else if (kind === "delete") now.splice(place, 1 + (to % 3));
    else if (kind === "change") now.splice(place, 1, word);
    else now.splice(to % (now.length + 1), 0, ...now.splice(place, 1 + (to % 3)));
  }
  return now.join(" ");
}

const derived = fc
  .tuple(parts, steps, steps)
  .map(([base, parent, child]) => ({ base: base.join(" "), parent: edited(base, parent), child: edited(base, child) }));
const texts = fc.oneof(fc.record({ base: nasty, parent: nasty, child: nasty }), fc.record({ base: prose, parent: prose, child: prose }), {
  arbitrary: derived,
  weight: 3,
});

describe("whatever the texts", () => {
  test("one side's edit alone is that side's text; the same edit is that edit", () => {
    fc.assert(
      fc.property(texts, ({ base, parent }) => {
        expect(merge({ base, parent, child: base })).toEqual({ value: parent });
        expect(merge({ base, parent: base, child: parent })).toEqual({ value: parent });
        expect(merge({ base, parent, child: parent })).toEqual({ value: parent });
      }),
    );
  });

  test("swapping the sides changes nothing", () => {
    fc.assert(
      fc.property(texts, (three) => {
        const [one, other] = [merge(three), merge(swapped(three))];
        expect("value" in one ? one : "overlap").toEqual("value" in other ? other : "overlap");
      }),
      { numRuns: 3_000 },
    );
  });

  test("no word is lost, comes back, or comes from nowhere", () => {
    const count = (text: string, word: string): number => wordsOf(text).filter((other) => other === word).length;
    fc.assert(
      fc.property(texts, (three) => {
        const result = merge(three);
        if (!("value" in result)) return;
        const text = String(result.value);
        for (const word of new Set([three.base, three.parent, three.child, text].flatMap(wordsOf))) {
          const [base, parent, child, now] = [three.base, three.parent, three.child, text].map((some) => count(some, word)) as [
            number,
            number,
            number,
            number,
          ];
          // compared by characters inside of words: `12.50` and `50` are different words to the merge
          if (/^\d/.test(word)) continue;
          if (parent >= base && child >= base) expect(now, word).toBeGreaterThanOrEqual(Math.max(parent, child));
          if (parent <= base && child <= base) expect(now, word).toBeLessThanOrEqual(Math.min(parent, child));
          expect(now, word).toBeLessThanOrEqual(parent + child);
        }
      }),
      { numRuns: 3_000 },
    );
  });
});

/** One line (or word) of the base, and who does what to it. */
const line = fc.record({
  who: fc.constantFrom<"nobody" | "parent" | "child">("nobody", "nobody", "parent", "child"),
  edit: fc.constantFrom<"change" | "delete">("change", "delete"),
  insert: fc.constantFrom<readonly ("parent" | "child")[]>([], [], ["parent"], ["child"], ["parent", "child"]),
});

/** The edits of different lines or words, carried out by each side and, as the oracle, by one hand. */
function written(plan: readonly (typeof line extends fc.Arbitrary<infer T> ? T : never)[], by: readonly ("parent" | "child")[]): string[] {
  return plan.flatMap(({ who, edit, insert }, at) => {
    const own = who !== "nobody" && by.includes(who) ? (edit === "delete" ? [] : [`${who}Changed${at}`]) : [`base${at}`];
    // at one place, the one that sorts first goes first
    const put = insert.filter((side) => by.includes(side)).map((side) => `${side}Put${at}`);
    return [...own, ...put.sort()];
  });
}

describe.each([
  ["lines", "\n"],
  ["words", " "],
  ["sentences", ". "],
])("edits of different %s", (_what, joint) => {
  const joined = (parts: readonly string[]): string => ["start", ...parts, "end"].join(joint);

  test("all apply, as one hand would have made them", () => {
    fc.assert(
      fc.property(fc.array(line, { minLength: 1, maxLength: 12 }), (plan) => {
        const three = {
          base: joined(written(plan, [])),
          parent: joined(written(plan, ["parent"])),
          child: joined(written(plan, ["child"])),
        };
        const expected = joined(written(plan, ["parent", "child"]));
        const result = merge(three);
        // a change and an insertion right beside it may be one rewritten stretch to a reader: said, not guessed
        if ("overlap" in result) expect(besides(plan)).toBe(true);
        else expect(inOneOrder(String(result.value))).toBe(expected);
      }),
      { numRuns: 1_000 },
    );
  });
});

/** Where an insertion is one stretch with a change beside it, the other side's insertion may come before or after. */
const inOneOrder = (text: string): string => text.replace(/(parentPut(\d+))([\n .]+)(childPut\2)\b/g, "$4$3$1");

/** True where both sides are at work at the same spot: one deletes or changes what stands beside the other's work. */
const besides = (plan: readonly { who: string; insert: readonly string[] }[]): boolean =>
  plan.some(({ who, insert }, at) => {
    const near = [plan[at - 1], plan[at + 1]].flatMap((other) => (other === undefined ? [] : [other.who, ...other.insert]));
    const here = [who, ...insert];
    return [...here, ...near].includes("parent") && [...here, ...near].includes("child");
  });

test("a line that one side moved is edited where it went", () => {
  const count = 6;
  const lineText = (at: number, edited: boolean): string => `line ${at} tells ${edited ? "something" : "nothing"} about number${at}\n`;
  const order = fc.shuffledSubarray([0, 1, 2, 3, 4, 5], { minLength: count, maxLength: count });
  fc.assert(
    fc.property(order, fc.subarray([0, 1, 2, 3, 4, 5]), (moved, edits) => {
      const text = (places: readonly number[], edited: readonly number[]): string =>
        places.map((at) => lineText(at, edited.includes(at))).join("");
      const start = [0, 1, 2, 3, 4, 5];
      expect(merged({ base: text(start, []), parent: text(moved, []), child: text(start, edits) })).toBe(text(moved, edits));
    }),
  );
});

test("line ends that one side wrote anew never stand in the way", () => {
  const lines = fc.array(fc.constantFrom<string>("a", "b c", "d", ""), { minLength: 2, maxLength: 6 });
  fc.assert(
    fc.property(lines, fc.nat(), (base, at) => {
      const child = base.with(at % base.length, "c d");
      const result = merged({ base: base.join("\n"), parent: base.join("\r\n"), child: child.join("\n") });
      expect(result).toBe(child.join("\r\n"));
    }),
  );
});
