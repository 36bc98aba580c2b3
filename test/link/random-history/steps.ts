import fc from "fast-check";
import type { Write } from "./application.ts";
import { DECIDED, type DecidedTable, type Deciding, type Rules, type Variant } from "./tables.ts";

/** What goes wrong in a round of a link. `at` is the packet that it befalls, counted within the round. */
export type Fault =
  | { readonly kind: "repeated" | "receipt lost" | "cut off" | "refresh lost"; readonly at: number }
  /** Somebody writes between the reading of a packet and its application. */
  | { readonly kind: "meanwhile"; readonly at: number; readonly writes: readonly Write[] };

export type Step =
  | Write
  /** Several writes of one node as one transaction. */
  | { readonly kind: "together"; readonly node: number; readonly writes: readonly Write[] }
  /** A person decides a conflict at a node, or decides it anew. */
  | { readonly kind: "decide"; readonly node: number; readonly which: number; readonly take: "parent" | "child" | "base" }
  /** A transaction begins, writes, and stays open until the next of its kind. */
  | { readonly kind: "slow"; readonly node: number }
  /** The log keeps no more than it must. */
  | { readonly kind: "purge"; readonly node: number }
  | { readonly kind: "sync all" }
  | { readonly kind: "sync"; readonly link: number; readonly fault: Fault | null }
  | { readonly kind: "restart"; readonly node: number }
  | { readonly kind: "rules"; readonly table: DecidedTable; readonly deciding: Deciding };

export interface History {
  readonly variant: Variant;
  readonly rules: Rules;
  readonly steps: readonly Step[];
}

const WHATS: { readonly [what in Write["what"]]: number } = {
  "doc a": 4,
  "doc b": 4,
  "doc a b": 2,
  "doc code": 6,
  "doc swap": 3,
  "doc move": 2,
  "doc replace": 2,
  "doc rekey": 2,
  "doc remove": 3,
  "task title": 3,
  "task boss": 5,
  "task remove": 3,
  "box label": 5,
  "box remove": 3,
  "thing label": 4,
  "thing box": 4,
  "thing remove": 2,
  "profile place": 3,
  "profile p": 2,
  "profile q": 2,
  "profile p null": 2,
  "profile q null": 2,
  "profile lo": 3,
  "profile hi": 3,
  "profile bio line": 3,
  "profile bio word": 3,
  "profile bio cut": 1,
  "profile rekey": 1,
  "profile remove": 2,
  "tally add": 4,
  "tally raise": 2,
  "tally note": 1,
  "tally all": 2,
  again: 1,
};

const what = fc.oneof(...Object.entries(WHATS).map(([name, weight]) => ({ weight, arbitrary: fc.constant(name as Write["what"]) })));
/** Few rows, so that people meet. */
const id = fc.oneof({ weight: 3, arbitrary: fc.nat(1) }, { weight: 2, arbitrary: fc.nat(3) });
const write: fc.Arbitrary<Write> = fc.record({ kind: fc.constant("write" as const), node: fc.nat(4), id, other: fc.nat(4), what });

const fault: fc.Arbitrary<Fault | null> = fc.oneof(
  { weight: 8, arbitrary: fc.constant(null) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom("repeated" as const, "receipt lost" as const, "cut off" as const, "refresh lost" as const),
      at: fc.nat(2),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("meanwhile" as const),
      at: fc.nat(2),
      writes: fc.array(write, { minLength: 1, maxLength: 3 }),
    }),
  },
);

const simple = fc.constantFrom("parent_wins" as const, "child_wins" as const, "newest_wins" as const, "manual" as const);
const deciding: fc.Arbitrary<Deciding> = fc.record({
  policy: fc.oneof({ weight: 4, arbitrary: simple }, { weight: 1, arbitrary: fc.constant("merge" as const) }),
  otherwise: simple,
});
const table = fc.constantFrom(...DECIDED);

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: write },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("together" as const),
      node: fc.nat(4),
      writes: fc.array(write, { minLength: 2, maxLength: 4 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("decide" as const),
      node: fc.nat(1),
      which: fc.nat(5),
      take: fc.constantFrom("parent" as const, "child" as const, "base" as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("slow" as const), node: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("purge" as const), node: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.constant({ kind: "sync all" as const }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("sync" as const), link: fc.nat(3), fault }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("restart" as const), node: fc.nat(4) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("rules" as const), table, deciding }) },
);

const PLAIN: Variant = { tree: "postgres", detect: "column", apart: false, capture: "trigger", maxRows: 5000 };
const VARIANTS: readonly Variant[] = [
  PLAIN,
  { ...PLAIN, detect: "row", apart: true },
  { ...PLAIN, maxRows: 2, capture: "slot" },
  { ...PLAIN, tree: "sqlite" },
  { ...PLAIN, tree: "sqlite", detect: "row", maxRows: 2 },
  { ...PLAIN, tree: "mixed", apart: true, maxRows: 3 },
];

export const history = (length: number): fc.Arbitrary<History> =>
  fc.record({
    variant: fc.constantFrom(...VARIANTS),
    rules: fc.record({
      doc: deciding,
      task: deciding,
      box: deciding,
      thing: deciding,
      profile: fc.oneof(
        deciding,
        deciding.map(({ otherwise }) => ({ policy: "merge" as const, otherwise })),
      ),
    }),
    steps: fc.array(step, { maxLength: length, size: "max" }),
  });
