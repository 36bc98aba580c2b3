import fc from "fast-check";
import { expect, test } from "vitest";
import type { Row } from "../../replicator/change/value.ts";
import type { Detection, Policy } from "../../replicator/change/verdict.ts";
import { judge } from "../../replicator/conflict/judge.ts";
import { ModelNode, type Packet, type Rules, settle, state } from "./judge-model.ts";

/** Parents by index; the hub is 0. */
const TREES: { readonly [name: string]: readonly (number | null)[] } = {
  "parent and child": [null, 0],
  "parent and two children": [null, 0, 0],
  "three levels": [null, 0, 1],
  "three levels with siblings": [null, 0, 0, 1, 1],
};

type Event =
  | { readonly kind: "write"; readonly node: number; readonly key: number; readonly a: number | null; readonly b: number | null }
  | { readonly kind: "remove"; readonly node: number; readonly key: number }
  | { readonly kind: "seal" | "deliver"; readonly link: number; readonly up: boolean };

const small = fc.option(fc.nat(2), { nil: null });
const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("write" as const), node: fc.nat(9), key: fc.nat(1), a: small, b: small }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("remove" as const), node: fc.nat(9), key: fc.nat(1) }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constantFrom("seal" as const, "deliver" as const), link: fc.nat(9), up: fc.boolean() }) },
);

interface Run {
  readonly tree: string;
  readonly policy: Policy;
  readonly detect: Detection;
  readonly events: readonly Event[];
  readonly groupSize: number;
}

const run: fc.Arbitrary<Run> = fc.record({
  tree: fc.constantFrom(...Object.keys(TREES)),
  policy: fc.constantFrom<Policy>("parent_wins", "child_wins", "newest_wins"),
  detect: fc.constantFrom<Detection>("column", "row"),
  events: fc.array(event, { maxLength: 60, size: "max" }),
  groupSize: fc.integer({ min: 1, max: 6 }),
});

/** Plays the events, with packets on their way while people write, and lets the nodes come to rest. `value` makes what a write writes. */
function play(
  { tree, policy, detect, events, groupSize }: Run,
  over: Partial<Rules>,
  value: (wish: number) => string,
  watch: (before: Row | null, after: Row | null) => void,
) {
  const rules: Rules = { policy, detect, judge, echo: "replay", holdBack: true, fold: {}, ...over };
  const parents = TREES[tree] ?? [];
  const nodes = parents.map((_, n) => new ModelNode(`node-${n}`, rules));
  const links = parents.flatMap((parent, n) => (parent === null ? [] : [{ parent: nodes[parent]!, child: nodes[n]! }]));
  const onTheWay = new Map<string, Packet>();
  for (const [clock, step] of events.entries()) {
    if (step.kind === "write" || step.kind === "remove") {
      const node = nodes[step.node % nodes.length]!;
      const key = `{"id":"${step.key}"}`;
      const before = node.rows.get(key) ?? null;
      const wish = (column: "a" | "b"): string | null => {
        const wanted = step.kind === "write" ? step[column] : null;
        return wanted === null ? ((before?.[column] as string | undefined) ?? null) : value(wanted);
      };
      const after = step.kind === "remove" ? null : { a: wish("a"), b: wish("b") };
      watch(before, after);
      // two writes in a row may have the same time: a tie
      node.write(key, after, 1 + (clock >> 1));
      continue;
    }
    const link = links[step.link % links.length]!;
    const [source, target] = step.up ? [link.child, link.parent] : [link.parent, link.child];
    const lane = `${source.name} ${target.name}`;
    const packet = onTheWay.get(lane);
    if (step.kind === "seal" && packet === undefined) onTheWay.set(lane, source.packet(target, { groupSize, down: !step.up }));
    if (step.kind === "deliver" && packet !== undefined) {
      onTheWay.delete(lane);
      if (step.up) target.applyFromChild(packet);
      else target.applyFromParent(packet);
    }
  }
  for (const { parent, child } of links) {
    const up = onTheWay.get(`${child.name} ${parent.name}`);
    const down = onTheWay.get(`${parent.name} ${child.name}`);
    if (up) parent.applyFromChild(up);
    if (down) child.applyFromParent(down);
  }
  settle(links, groupSize);
  return nodes;
}

const RUNS = Number(process.env.JUDGE_RUNS ?? 3000);

test.each(["replay", "refresh", "ask"] as const)(
  "after any writes on any nodes, with packets on their way meanwhile, every node comes to rest with the same rows (echoes: %s)",
  (echo) => {
    fc.assert(
      fc.property(run, (plan) => {
        const nodes = play(plan, { echo }, String, () => {});
        for (const node of nodes) expect(state(node), node.name).toEqual(state(nodes[0]!));
      }),
      { numRuns: RUNS },
    );
  },
);

test("no value is lost in silence: each is there at the end, or someone wrote over it who had it, or it is in the conflict history", () => {
  fc.assert(
    fc.property(run, (plan) => {
      let last = 0;
      const written = new Set<string>();
      const replaced = new Set<string>();
      const values = (row: Row | null): string[] => Object.values(row ?? {}).filter((value) => typeof value === "string");
      const nodes = play(
        plan,
        {},
        () => String(++last),
        (before, after) => {
          for (const value of values(after)) written.add(value);
          for (const column of ["a", "b"]) {
            const was = before?.[column];
            if (typeof was === "string" && was !== after?.[column]) replaced.add(was);
          }
        },
      );
      const kept = new Set([
        ...nodes.flatMap((node) => [...node.rows.values()].flatMap(values)),
        ...nodes.flatMap((node) => node.history.flatMap(({ parent, child }) => [...values(parent), ...values(child)])),
      ]);
      for (const value of written) expect(kept.has(value) || replaced.has(value), `value ${value}`).toBe(true);
    }),
    { numRuns: RUNS },
  );
});

test.each<[string, Partial<Rules>]>([
  ["a reader's own changes were left out although others' came before them", { echo: "nothing" }],
  ["changes that cancel out were left out between two writers", { fold: { oneWay: true } }],
  ["a child did not hold back what its parent has yet to judge", { holdBack: false }],
  ["a child were not told that it lost", { judge: (clash) => ({ ...judge(clash), refresh: false }) }],
])("the model is sharp: the nodes would differ if %s", (_, over) => {
  const broken = fc.check(
    fc.property(run, (plan) => {
      const nodes = play(plan, over, String, () => {});
      for (const node of nodes) expect(state(node)).toEqual(state(nodes[0]!));
    }),
    { numRuns: RUNS },
  );
  expect(broken.failed).toBe(true);
});
