import fc from "fast-check";
import { expect, test } from "vitest";
import type { Row } from "../../replicator/change/value.ts";
import { type ConflictRule, type Detection, PLAIN_RULE, type SimplePolicy } from "../../replicator/change/verdict.ts";
import { createJudge } from "../../replicator/conflict/judge.ts";
import { createModuleRunner } from "../../replicator/conflict/module-runner.ts";
import { ModelNode, type Packet, type Rules, settle, state } from "./judge-model.ts";

const judge = createJudge(createModuleRunner());

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
  | { readonly kind: "log"; readonly node: number }
  | { readonly kind: "seal" | "deliver"; readonly link: number; readonly up: boolean };

const small = fc.option(fc.nat(2), { nil: null });
const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("write" as const), node: fc.nat(9), key: fc.nat(1), a: small, b: small }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("remove" as const), node: fc.nat(9), key: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("log" as const), node: fc.nat(9) }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constantFrom("seal" as const, "deliver" as const), link: fc.nat(9), up: fc.boolean() }) },
);

interface Run {
  readonly tree: string;
  readonly rule: ConflictRule;
  readonly events: readonly Event[];
  readonly groupSize: number;
}

const simple = fc.constantFrom<SimplePolicy>("parent_wins", "child_wins", "newest_wins", "manual");
const anyRule: fc.Arbitrary<ConflictRule> = fc
  .record({
    policy: fc.oneof({ weight: 2, arbitrary: simple }, { weight: 1, arbitrary: fc.constant("merge" as const) }),
    detect: fc.constantFrom<Detection>("column", "row"),
    groups: fc.constantFrom<ConflictRule["groups"]>([], [], [["a", "b"]]),
    mergeColumns: fc.constantFrom<ConflictRule["mergeColumns"]>({ a: "counter" }, { a: "counter", b: "max" }, { b: "min" }, {}),
    otherwise: simple,
  })
  .map((rule) => ({ ...PLAIN_RULE, ...rule, ...(rule.groups.length > 0 && { mergeColumns: {} }) }));

const run: fc.Arbitrary<Run> = fc.record({
  tree: fc.constantFrom(...Object.keys(TREES)),
  rule: anyRule,
  events: fc.array(event, { maxLength: 60, size: "max" }),
  groupSize: fc.integer({ min: 1, max: 6 }),
});

const COUNTED = '{"id":"0"}';

/** A tree at rest, with packets that may be under way on each link. */
function start({ tree, rule, groupSize }: Pick<Run, "tree" | "rule" | "groupSize">, over: Partial<Rules>) {
  const rules: Rules = { rule, judge, echo: "replay", holdBack: true, fold: {}, ...over };
  const parents = TREES[tree] ?? [];
  const nodes = parents.map((_, n) => new ModelNode(`node-${n}`, rules));
  const links = parents.flatMap((parent, n) =>
    parent === null ? [] : [{ parent: nodes[parent] as ModelNode, child: nodes[n] as ModelNode }],
  );
  const onTheWay = new Map<string, Packet>();
  const move = (step: { readonly kind: "seal" | "deliver"; readonly link: number; readonly up: boolean }): void => {
    const link = links[step.link % links.length] as (typeof links)[number];
    const [source, target] = step.up ? [link.child, link.parent] : [link.parent, link.child];
    const lane = `${source.name} ${target.name}`;
    const packet = onTheWay.get(lane);
    if (step.kind === "seal" && packet === undefined) onTheWay.set(lane, source.packet(target, { groupSize, down: !step.up }));
    if (step.kind === "deliver" && packet !== undefined) {
      onTheWay.delete(lane);
      if (step.up) target.applyFromChild(packet);
      else target.applyFromParent(packet);
    }
  };
  /** Delivers what is under way and lets the nodes come to rest. */
  const finish = (): void => {
    for (const link of links.keys()) for (const up of [true, false]) move({ kind: "deliver", link, up });
    settle(links, groupSize);
  };
  return { nodes, links, move, finish };
}

/** Plays the events, with packets on their way while people write, and lets the nodes come to rest. `value` makes what a write writes. */
function play(run: Run, over: Partial<Rules>, value: (wish: number) => string, watch: (before: Row | null, after: Row | null) => void) {
  const { nodes, move, finish } = start(run, over);
  for (const [clock, step] of run.events.entries()) {
    if (step.kind !== "write" && step.kind !== "remove") {
      if (step.kind === "log") (nodes[step.node % nodes.length] as ModelNode).logOne();
      else move(step);
      continue;
    }
    const node = nodes[step.node % nodes.length] as ModelNode;
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
  }
  finish();
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

const WAITS = ["packet", "judge", "refresh"] as const;

test("with logs that lag behind the commits as well, when packets, judges and refreshes wait for them", () => {
  fc.assert(
    fc.property(run, (plan) => {
      const nodes = play(plan, { echo: "ask", waits: WAITS }, String, () => {});
      for (const node of nodes) expect(state(node), node.name).toEqual(state(nodes[0]!));
    }),
    { numRuns: RUNS },
  );
});

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

test("a counter ends as the sum of every difference that anyone added, on every node, whatever was on its way meanwhile", () => {
  const add = fc.record({ node: fc.nat(9), difference: fc.integer({ min: -3, max: 3 }), b: fc.boolean() });
  const move = fc.record({ kind: fc.constantFrom("seal" as const, "deliver" as const), link: fc.nat(9), up: fc.boolean() });
  fc.assert(
    fc.property(
      fc.record({
        tree: fc.constantFrom(...Object.keys(TREES)),
        detect: fc.constantFrom<Detection>("column", "row"),
        otherwise: simple,
        steps: fc.array(fc.oneof(add, move), { maxLength: 60, size: "max" }),
        groupSize: fc.integer({ min: 1, max: 6 }),
      }),
      ({ tree, detect, otherwise, steps, groupSize }) => {
        const rule: ConflictRule = { ...PLAIN_RULE, policy: "merge", detect, otherwise, mergeColumns: { a: "counter" } };
        const world = start({ tree, rule, groupSize }, { echo: "ask" });
        world.nodes[0]?.write(COUNTED, { a: "0", b: "0" }, 0);
        settle(world.links, groupSize);
        let sum = 0;
        for (const [clock, step] of steps.entries()) {
          if ("kind" in step) {
            world.move(step);
            continue;
          }
          const node = world.nodes[step.node % world.nodes.length] as ModelNode;
          const before = node.rows.get(COUNTED) as Row;
          sum += step.difference;
          node.write(COUNTED, { a: String(Number(before.a) + step.difference), b: step.b ? String(clock) : (before.b ?? null) }, clock);
        }
        world.finish();
        for (const node of world.nodes) expect(node.rows.get(COUNTED)?.a, node.name).toBe(String(sum));
      },
    ),
    { numRuns: RUNS },
  );
});

test.each<[string, Partial<Rules>]>([
  ["a reader's own changes were left out although others' came before them", { echo: "nothing" }],
  ["changes that cancel out were left out between two writers", { fold: { oneWay: true } }],
  ["a child did not hold back what its parent has yet to judge", { holdBack: false }],
  ["a child were not told that it lost", { judge: (clash) => ({ ...judge(clash), refresh: false }) }],
  ["a log lagged behind, and no packet waited for it", { echo: "ask", waits: ["judge", "refresh"] }],
  ["a log lagged behind, and no judge waited for it", { echo: "ask", waits: ["packet", "refresh"] }],
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

test("a refresh that stands before what it includes, in a log whose packets do not wait either, leaves the child with an older row", () => {
  const ends = (waits: Rules["waits"]): unknown[] => {
    const rule = { ...PLAIN_RULE, policy: "parent_wins", detect: "column" } as const;
    const rules: Rules = { rule, judge, echo: "ask", holdBack: true, fold: {}, ...(waits && { waits }) };
    const [hub, child] = [new ModelNode("hub", rules), new ModelNode("child", rules)];
    const down = (): void => child.applyFromParent(hub.packet(child, { groupSize: 1, down: true }));
    hub.write("k", { a: "0", b: null }, 1);
    hub.logOne();
    down();
    hub.write("k", { a: "1", b: null }, 2);
    hub.write("k", { a: "0", b: null }, 3);
    child.write("k", { a: "2", b: null }, 4);
    child.logOne();
    hub.applyFromChild(child.packet(hub, { groupSize: 1, down: false }));
    hub.refresh(child.name, "k");
    down();
    settle([{ parent: hub, child }], 1);
    return [state(hub), state(child)];
  };
  const [hub, child] = ends(["packet", "judge", "refresh"]);
  expect(child).toEqual(hub);
  const [parent, behind] = ends(["judge"]);
  expect(behind).not.toEqual(parent);
});
