import fc from "fast-check";
import { type ConflictRule, type Detection, PLAIN_RULE, type SimplePolicy } from "../../replicator/change/verdict.ts";

/** Parents by index; the hub is 0. */
export const TREES: { readonly [name: string]: readonly (number | null)[] } = {
  "parent and child": [null, 0],
  "parent and two children": [null, 0, 0],
  "three levels": [null, 0, 1],
  "three levels with siblings": [null, 0, 0, 1, 1],
};

/** What happens beside the replicators, each at a moment of its own. */
export type Event =
  /** A transaction of one application: the rows are written when it begins, and seen when it commits, `lasts` turns later. */
  | {
      readonly kind: "write";
      readonly node: number;
      readonly rows: readonly {
        readonly key: number;
        readonly a: boolean;
        readonly b: boolean;
        readonly add: number;
        readonly remove: boolean;
      }[];
      readonly lasts: number;
      readonly gives: "commit" | "rollback";
      /** False: it does not wait for the disk, and may be lost when the server dies. */
      readonly durable: boolean;
    }
  /** Adds to a row that everyone adds to. */
  | { readonly kind: "add"; readonly node: number; readonly by: number; readonly lasts: number }
  /** Two rows that only the hub writes, in one transaction: whoever sees one sees both. */
  | { readonly kind: "pair"; readonly lasts: number }
  | { readonly kind: "kill replicator" }
  /** One that was thought to be dead goes on beside its successor. */
  | { readonly kind: "second replicator" }
  /** The database's server dies and comes back; what it had not flushed is gone. */
  | { readonly kind: "crash"; readonly node: number };

export interface Plan {
  readonly tree: string;
  readonly rule: ConflictRule;
  readonly events: readonly { readonly event: Event; readonly after: number }[];
  readonly maxRows: number;
  /** Of each node: one writer at a time; milliseconds that its clock is ahead. */
  readonly nodes: readonly { readonly serial: boolean; readonly clockMs: number }[];
  /** In which order those who wait go on. */
  readonly seed: number;
}

const write = fc.record({
  kind: fc.constant("write" as const),
  node: fc.nat(9),
  rows: fc.array(
    fc.record({
      key: fc.nat(2),
      a: fc.boolean(),
      b: fc.boolean(),
      add: fc.integer({ min: -2, max: 3 }),
      remove: fc.nat(5).map((n) => n === 0),
    }),
    {
      minLength: 1,
      maxLength: 3,
    },
  ),
  lasts: fc.oneof(fc.nat(3), fc.nat(60)),
  gives: fc.nat(7).map((n) => (n === 0 ? ("rollback" as const) : ("commit" as const))),
  durable: fc.boolean(),
});
const add = fc.record({ kind: fc.constant("add" as const), node: fc.nat(9), by: fc.integer({ min: 1, max: 9 }), lasts: fc.nat(20) });
const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 12, arbitrary: write },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("pair" as const), lasts: fc.nat(20) }) },
  { weight: 4, arbitrary: add },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constantFrom("kill replicator" as const, "kill replicator" as const, "second replicator" as const) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("crash" as const), node: fc.nat(9) }) },
);

const simple = fc.constantFrom<SimplePolicy>("parent_wins", "child_wins", "newest_wins", "manual");
const rule: fc.Arbitrary<ConflictRule> = fc
  .record({
    policy: fc.oneof({ weight: 2, arbitrary: simple }, { weight: 1, arbitrary: fc.constant("merge" as const) }),
    detect: fc.constantFrom<Detection>("column", "row"),
    otherwise: simple,
  })
  .map((chosen) => ({ ...PLAIN_RULE, ...chosen, mergeColumns: { n: "counter" as const } }));

export const plan: fc.Arbitrary<Plan> = fc.record({
  tree: fc.constantFrom(...Object.keys(TREES)),
  rule,
  events: fc.array(fc.record({ event, after: fc.oneof(fc.nat(5), fc.nat(80)) }), { maxLength: 30, size: "max" }),
  maxRows: fc.integer({ min: 1, max: 5 }),
  nodes: fc.array(fc.record({ serial: fc.boolean(), clockMs: fc.constantFrom(0, 0, 3_000, -90_000) }), { minLength: 5, maxLength: 5 }),
  seed: fc.nat(),
});
