import { describe, expect, test } from "vitest";
import { parseBlock } from "../../dashboards/console/api/event-block.ts";
import type { Sample } from "../../dashboards/console/api/samples.ts";
import type { LinkStatus, NodeStatus, Status } from "../../dashboards/console/api/types.ts";
import { diffWords } from "../../dashboards/console/components/diff-words.ts";
import { formatBytes, formatDuration } from "../../dashboards/console/format.ts";
import { findings } from "../../dashboards/console/pages/overview/attention-list.ts";
import { lagSeries, packetSeries } from "../../dashboards/console/pages/overview/chart-series.ts";
import { filterTree, treeOf } from "../../dashboards/console/pages/overview/tree-of.ts";

/** The console's parts that need no browser. */

const flow = { pending_changes: 0, lag_seconds: 0, packets_sent: "1", packets_acknowledged: "1" };
const node = (name: string, more: Partial<NodeStatus> = {}): NodeStatus => ({
  ...{ name, engine: "sqlite", state: "up", error: null, version: "SQLite", epoch: null, clock_offset_ms: 0, log_rows: 0, log_bytes: 0 },
  ...{ conflicts_open: 0, parked_changes: 0, drift: [], full_sync: null },
  ...more,
});
const link = (parent: string, child: string, more: Partial<LinkStatus> = {}): LinkStatus => ({
  ...{
    parent,
    child,
    state: "live",
    reason: null,
    last_in: null,
    last_out: null,
    up: flow,
    down: flow,
    conflicts_open: 0,
    parked_changes: 0,
  },
  ...{ parked_at_parent: [], parked_at_child: [], refused_changes: 0, refused: [] },
  ...more,
});
const status = (more: Partial<Status>): Status => ({
  ...{
    topology: "shop",
    at: "2026-01-31T12:00:00.000Z",
    nodes: [node("hub"), node("store-1")],
    links: [link("hub", "store-1")],
    edges: [],
  },
  ...more,
});

describe("what needs attention", () => {
  test("is nothing where all is well", () => {
    expect(findings(status({}))).toEqual([]);
  });

  test("is told once where a node is down, with the hint of its error, and not again for its link", () => {
    const error = { code: "CONNECT", message: "no answer", hint: "start it" };
    const found = findings(
      status({ nodes: [node("hub"), node("store-1", { state: "down", error })], links: [link("hub", "store-1", { state: "down" })] }),
    );
    expect(found).toMatchObject([{ of: "store-1", tone: "bad", why: "no answer", remedy: "start it" }]);
  });

  test("has what somebody must do before what somebody should look at", () => {
    const found = findings(
      status({
        nodes: [node("hub", { conflicts_open: 2, clock_offset_ms: -4_000 }), node("store-1")],
        links: [link("hub", "store-1", { state: "must_resync", reason: "was away for too long" })],
      }),
    );
    expect(found.map(({ tone, what }) => [tone, what])).toEqual([
      ["bad", "It cannot go on by itself"],
      ["warn", "2 open conflicts"],
      ["warn", "The clock is 4 s behind"],
    ]);
  });

  test("is a link that is far behind, but not one that is paused on purpose, nor one at work", () => {
    const behind = { ...flow, pending_changes: 1, lag_seconds: 61 };
    expect(findings(status({ links: [link("hub", "store-1", { up: behind })] }))).toMatchObject([
      { of: "store-1 → hub", what: "61 s behind", why: "1 change waits." },
    ]);
    expect(findings(status({ links: [link("hub", "store-1", { up: behind, state: "paused" })] }))).toMatchObject([
      { what: "The link is paused" },
    ]);
    expect(findings(status({ links: [link("hub", "store-1", { up: { ...behind, lag_seconds: 59 } })] }))).toEqual([]);
  });

  test("is an edge that has been silent for a day, but not one that has yet to come", () => {
    const edge = {
      ...{ edge: "till-1", parent: "hub", state: "live", reason: null, last_in: null, pending_changes: 0, packets_sent: "0" },
      ...{ packets_received: "0", conflicts_open: 0, parked_changes: 0, clock_offset_ms: null, asked: [] },
    };
    const silent = { ...edge, last_out: "2026-01-30T11:00:00.000Z" };
    expect(findings(status({ edges: [silent] }))).toMatchObject([{ of: "till-1", what: "Silent for 25 h" }]);
    expect(findings(status({ edges: [{ ...edge, last_out: null }] }))).toEqual([]);
  });
});

test("the tree has relays and edges below their parents, in the order of their numbers, and is filtered with the way there", () => {
  const edge = (name: string) => ({
    ...{ edge: name, parent: "hub", state: "live", reason: null, last_in: null, last_out: null, pending_changes: 0, packets_sent: "0" },
    ...{ packets_received: "0", conflicts_open: 0, parked_changes: 0, clock_offset_ms: null, asked: [] },
  });
  const tree = treeOf(
    status({
      nodes: ["hub", "north", "store-1"].map((name) => node(name)),
      links: [link("hub", "north"), link("north", "store-1")],
      edges: [edge("till-10"), edge("till-9")],
    }),
  );
  const names = (branches: typeof tree): unknown[] => branches.map(({ name, below }) => (below.length === 0 ? name : [name, names(below)]));
  expect(names(tree)).toEqual([["hub", [["north", ["store-1"]], "till-9", "till-10"]]]);
  expect(names(filterTree(tree, "STORE"))).toEqual([["hub", [["north", ["store-1"]]]]]);
  expect(filterTree(tree, "nothing")).toEqual([]);
});

describe("lines over time", () => {
  const at = (seconds: number, acknowledged: number | null, lag: number | null): Sample => ({
    at: seconds,
    links: new Map([["hub/a", { up: { lag, pending: 0, acknowledged }, down: { lag: null, pending: 0, acknowledged: 0 } }]]),
  });

  test("packets are counted a second; a link that begins anew, or is not known, is no negative rate", () => {
    const [up, down] = packetSeries([at(0, 10, 0), at(5, 20, 0), at(10, 3, 0), at(15, null, 0), at(20, 9, 0)]);
    expect(up?.values).toEqual([null, 2, 0, 0, 0]);
    expect(down?.values).toEqual([null, 0, 0, 0, 0]);
  });

  test("of many links those are shown that were furthest behind", () => {
    const samples = [1, 2].map((seconds) => ({
      at: seconds,
      links: new Map(
        [1, 9, 5].map((lag) => [
          `hub/${lag}`,
          { up: { lag, pending: 0, acknowledged: 0 }, down: { lag: null, pending: 0, acknowledged: 0 } },
        ]),
      ),
    }));
    expect(lagSeries(samples, 2)).toEqual([
      { label: "hub/5", values: [5, 5] },
      { label: "hub/9", values: [9, 9] },
    ]);
  });
});

describe("differences of texts", () => {
  test.each([
    ["the same", "a b", "a b", [["same", "a b"]]],
    [
      "a word",
      "the red car",
      "the blue car",
      [
        ["same", "the "],
        ["before", "red"],
        ["after", "blue"],
        ["same", " car"],
      ],
    ],
    ["all of it", "", "new", [["after", "new"]]],
    ["nothing", "", "", []],
    [
      "in the middle of others",
      "one two three four",
      "one three five four",
      [
        ["same", "one "],
        ["before", "two "],
        ["same", "three"],
        ["after", " five"],
        ["same", " four"],
      ],
    ],
  ])("%s", (_, before, after, parts) => {
    expect(diffWords(before, after).map(({ kind, text }) => [kind, text])).toEqual(parts);
  });

  test("what is kept and left out is the one text, what is kept and put in the other; large ones do not take for ever", () => {
    const words = (seed: number, count: number) => Array.from({ length: count }, (_, index) => `w${(index * seed) % 17}`).join(" ");
    for (const [before, after] of [
      [words(3, 200), words(5, 220)],
      [words(3, 20_000), words(5, 20_000)],
    ] as const) {
      const parts = diffWords(before, after);
      const side = (other: string) =>
        parts
          .filter(({ kind }) => kind !== other)
          .map(({ text }) => text)
          .join("");
      expect([side("after"), side("before")]).toEqual([before, after]);
    }
  });
});

test("events are read as they come, comments are none", () => {
  expect(parseBlock('event: status\ndata: {"a":\ndata: 1}')).toEqual({ event: "status", data: { a: 1 } });
  expect(parseBlock(":")).toBeNull();
  expect(parseBlock("retry: 2000")).toBeNull();
});

test("times and sizes are read by people", () => {
  expect([0, 0.2, 1.4, 89, 90, 5_400, 5_460, 7_200, 200_000].map(formatDuration)).toEqual([
    ...["0 s", "< 1 s", "1 s", "89 s", "2 min", "1 h 30 min", "1 h 31 min", "2 h", "2 d"],
  ]);
  expect([null, 999, 1_000, 12_345, 123_456_789].map(formatBytes)).toEqual(["–", "999 B", "1.0 kB", "12.3 kB", "123 MB"]);
});
