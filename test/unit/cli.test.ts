import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { type ErrorKind, TomboloError } from "../../replicator/change/error.ts";
import { nodeName } from "../../replicator/change/names.ts";
import { EXIT, exitCodeOf, worst } from "../../replicator/cli/exit-codes.ts";
import { draftTopology, type Found } from "../../replicator/cli/init-draft.ts";
import { bytes, duration, plural, table } from "../../replicator/cli/output.ts";
import { runCommandLine } from "../../replicator/cli/program.ts";
import { countsText } from "../../replicator/cli/sync.ts";
import { syncLinks } from "../../replicator/cli/sync-links.ts";
import { verbs } from "../../replicator/cli/verbs.ts";
import { leavesFirst, linkName, wantedTables } from "../../replicator/lifecycle/tree.ts";
import type { LinkCounts } from "../../replicator/link/link.ts";
import type { Node } from "../../replicator/node/node.ts";
import { parseTopology } from "../../replicator/topology/load.ts";
import type { Topology } from "../../replicator/topology/topology.ts";

const folder = mkdtempSync(join(tmpdir(), "tombolo-cli-"));
afterAll(() => rmSync(folder, { recursive: true }));

const VALID = `version: 1
name: retail
nodes:
  - { name: hub, type: postgres, url: "postgres://tombolo:canary-4711@127.0.0.1:1/shop" }
  - { name: store-1, type: sqlite, path: ./store-1.db }
channels:
  - { name: sales, tables: [{ name: shop.orders, conflict: newest_wins }] }
links:
  - { parent: hub, child: store-1, channels: [{ name: sales }] }
`;

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

/** Runs the command line in a world where no database can be reached. */
async function tombolo(...argv: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const out: string[] = [];
  const err: string[] = [];
  const away = (kind: ErrorKind) => () => {
    throw new TomboloError("hub cannot be reached", { code: "CANNOT_CONNECT", kind });
  };
  const code = await runCommandLine(argv, {
    verbs,
    parts: {
      openNode: async () => away("connect")(),
      createLink: async () => away("fatal")(),
      fullSync: async () => away("fatal")(),
      judge: async () => away("fatal")(),
      leaseStore: async () => ({ take: async () => away("connect")() }),
    },
    version: "1.2.3",
    env: {},
    streams: { stdout: (text) => out.push(text), stderr: (text) => err.push(text) },
  });
  return { code, stdout: out.join(""), stderr: err.join("") };
}

describe("exit codes", () => {
  test("follow from the kind of the error", () => {
    const kinds: Record<ErrorKind, number> = { retry: 1, operator: 1, fatal: 1, usage: 2, connect: 4, newer: 5 };
    for (const [kind, code] of Object.entries(kinds))
      expect(exitCodeOf(new TomboloError("x", { code: "X", kind: kind as ErrorKind }))).toBe(code);
    expect(exitCodeOf(new TypeError("bug"))).toBe(1);
  });

  test("of several results say what to correct first", () => {
    expect(worst([EXIT.done, EXIT.found])).toBe(3);
    expect(worst([EXIT.connect, EXIT.usage, EXIT.failed])).toBe(2);
    expect(worst([EXIT.connect, EXIT.failed])).toBe(4);
    expect(worst([])).toBe(0);
  });

  test.each([
    ["an unknown verb", ["bogus"], 2],
    ["no verb", [], 2],
    ["an unknown option", ["status", "--frobnicate"], 2],
    ["an argument that is missing", ["export", "--from", "a", "--to", "b"], 2],
    ["a missing file", ["-c", "/nowhere/topology.yaml", "validate", "--offline"], 2],
    ["help", ["--help"], 0],
    ["version", ["--version"], 0],
  ])("%s", async (_name, argv, code) => {
    expect((await tombolo(...argv)).code).toBe(code);
  });
});

describe("the command line", () => {
  test("takes global options before and after the verb", async () => {
    const path = file("valid.yaml", VALID);
    for (const argv of [
      ["-c", path, "validate", "--offline"],
      ["validate", "--offline", "-c", path],
    ]) {
      const { code, stdout } = await tombolo(...argv);
      expect([code, stdout]).toEqual([0, `${path}: valid\n`]);
    }
  });

  test("shows every problem of a file with its place, on standard output, and as JSON", async () => {
    const path = file("bad.yaml", VALID.replace("store-1, channels", "store-9, channels").replace("newest_wins", "luck"));
    const text = await tombolo("-c", path, "validate", "--offline");
    expect(text.code).toBe(2);
    expect(text.stdout).toMatch(new RegExp(`^${path}:7:\\d+: [A-Z_]+: `, "m"));
    expect(text.stdout).toMatch(new RegExp(`^${path}:9:\\d+: [A-Z_]+: `, "m"));
    const json = JSON.parse((await tombolo("-c", path, "validate", "--offline", "--json")).stdout);
    expect(json.valid).toBe(false);
    expect(json.problems[0]).toMatchObject({ severity: "error", file: path, line: 7, code: expect.stringMatching(/^[A-Z_]+$/) });
  });

  test.each(["plan", "apply", "run", "sync", "status", "doctor", "uninstall", "nodes list"])(
    "%s refuses a bad file with exit 2",
    async (verb) => {
      const path = file("bad.yaml", `${VALID}surprise: 1\n`);
      const { code, stdout, stderr } = await tombolo("-c", path, ...verb.split(" "));
      expect([code, stdout]).toEqual([2, ""]);
      expect(stderr).toContain(`${path}:10:1: `);
    },
  );

  test.each(["plan", "validate", "status", "doctor", "apply --yes"])(
    "%s says that a database cannot be reached, and ends with 4",
    async (verb) => {
      const { code, stdout, stderr } = await tombolo("-c", file("valid.yaml", VALID), ...verb.split(" "));
      expect(code).toBe(4);
      expect(stdout).toContain("hub cannot be reached");
      expect(stdout + stderr).not.toContain("canary-4711");
    },
  );

  test("status is complete as JSON while everything is down", async () => {
    const { stdout } = await tombolo("-c", file("valid.yaml", VALID), "status", "--json");
    const report = JSON.parse(stdout);
    expect(report.nodes).toMatchObject([
      { name: "hub", engine: "postgres", state: "down", error: { code: "CANNOT_CONNECT" }, log_rows: null },
      { name: "store-1", engine: "sqlite", state: "down" },
    ]);
    expect(report.links).toMatchObject([
      { parent: "hub", child: "store-1", state: "down", up: { pending_changes: null, packets_sent: null } },
    ]);
  });

  test("names what it does not know, with what it knows", async () => {
    const path = file("valid.yaml", VALID);
    const node = await tombolo("-c", path, "nodes", "pause", "store-7");
    expect([node.code, node.stderr]).toEqual([2, expect.stringContaining("hub, store-1")]);
    const link = await tombolo("-c", path, "sync", "--link", "hub/store-7");
    expect([link.code, link.stderr]).toEqual([2, expect.stringContaining("hub/store-1")]);
    expect((await tombolo("-c", path, "nodes", "pause", "hub")).code).toBe(2);
  });

  test.each([
    ["conflicts list --since yesterday", "--since is no moment"],
    ["conflicts list --limit 0", "--limit is no number"],
    ["conflicts list --kind odd", "--kind cannot be odd"],
    ["conflicts list --node store-7", "no node store-7"],
    ["conflicts list --before hub/x", "no number of a record"],
    ["conflicts show seven", "seven is no number of a record"],
    ["conflicts show store-7/1", "no node store-7"],
    ["conflicts show hub/1 --node store-1", "hub/1 is not at store-1"],
    ["conflicts resolve 7", "nothing is decided"],
    ["conflicts resolve 7 --take mine", "--take cannot be mine"],
    ["conflicts resolve 7 --take child --set a=1", "--take and --set do not go together"],
    ["conflicts resolve 7 --set a=1 --set-null a", "--set-null gives a more than once"],
    ["conflicts resolve 7 --set a", "--set names a column and its value"],
    ["conflicts resolve --take child", "missing required argument"],
  ])("%s is refused before anything is opened", async (line, message) => {
    const { code, stdout, stderr } = await tombolo("-c", file("valid.yaml", VALID), ...line.split(" "));
    expect([code, stdout, stderr]).toEqual([2, "", expect.stringContaining(message)]);
  });

  test("conflicts that cannot be asked for are told with the node, and with 4", async () => {
    const path = file("valid.yaml", VALID);
    const text = await tombolo("-c", path, "conflicts", "list", "--open");
    expect(text).toEqual({ code: 4, stdout: "no conflicts\n", stderr: "hub: hub cannot be reached (CANNOT_CONNECT)\n" });
    const json = JSON.parse((await tombolo("-c", path, "conflicts", "list", "--json")).stdout);
    expect(json).toMatchObject({
      conflicts: [],
      next: null,
      not_asked: [{ node: "hub", error: { code: "CANNOT_CONNECT" } }, { node: "store-1" }],
    });
    for (const verb of ["show 7", "resolve 7 --take child"])
      expect((await tombolo("-c", path, "conflicts", ...verb.split(" "))).code).toBe(4);
  });

  test("an error is JSON on standard output when JSON was asked for", async () => {
    const { code, stdout } = await tombolo("-c", file("valid.yaml", VALID), "nodes", "pause", "store-1", "--json");
    expect([code, JSON.parse(stdout)]).toEqual([4, { error: { code: "CANNOT_CONNECT", message: "hub cannot be reached", hint: null } }]);
  });

  test("prints a schema that editors can use", async () => {
    expect(JSON.parse((await tombolo("schema")).stdout)).toMatchObject({ type: "object", properties: { nodes: {}, links: {} } });
  });

  test("is documented: every verb and exit code has its line in docs/operations.md", () => {
    const page = readFileSync(new URL("../../docs/operations.md", import.meta.url), "utf8");
    for (const { name, options = [] } of verbs) {
      expect(page).toContain(`\`${name}`);
      for (const { flags } of options) expect(page, `${name} ${flags}`).toContain(flags.split(" ")[0]);
    }
    for (const code of Object.values(EXIT)) expect(page).toMatch(new RegExp(`^\\| ${code} \\|`, "m"));
  });
});

test("counts are told in words that fit the number", () => {
  expect(countsText({ sent: 15, received: 8, conflicts: 1, parked: 0 })).toBe("15 sent, 8 received, 1 conflict resolved");
  expect(countsText({ sent: 0, received: 0, conflicts: 2, parked: 3 })).toBe("0 sent, 0 received, 2 conflicts resolved, 3 parked");
  expect(countsText({ sent: 3, received: 0, conflicts: 3, parked: 1 }, 2)).toBe(
    "3 sent, 0 received, 1 conflict resolved, 2 left open, 1 parked",
  );
  expect([plural(1, "step"), plural(0, "step")]).toEqual(["1 step", "0 steps"]);
  expect([bytes(0), bytes(1023), bytes(1536), bytes(5 * 1024 ** 3)]).toEqual(["0 B", "1023 B", "1.5 KiB", "5.0 GiB"]);
  expect([duration(0), duration(1.25), duration(100), duration(600), duration(86_400 * 3)]).toEqual([
    "0 s",
    "1.3 s",
    "100 s",
    "10 min",
    "3 d",
  ]);
  expect(table(["A", "LONG"], [["xyz", "1"]])).toEqual(["A    LONG", "xyz  1"]);
});

describe("a tree of links", () => {
  const topology = tree();

  test("is synced up from the leaves and down from the root, until nothing moves", async () => {
    const order: string[] = [];
    const left: Record<string, number> = { "hub/region": 2, "region/till": 1 };
    const results = await syncLinks({
      topology,
      links: topology.links,
      nodes: new Map(topology.nodes.map(({ name }) => [name, { node: {} as Node }])),
      observer: {} as never,
      signal: new AbortController().signal,
      parts: {
        createLink: async ({ link }) => ({
          parent: link.parent,
          child: link.child,
          run: async () => {},
          retryParked: async () => 0,
          sync: async (): Promise<LinkCounts> => {
            const name = linkName(link);
            order.push(name);
            const moved = (left[name] ?? 0) > 0 ? 1 : 0;
            left[name] = (left[name] ?? 0) - moved;
            return { sent: moved, received: 0, conflicts: 0, parked: 0 };
          },
        }),
      },
    });
    expect(order).toEqual(["region/till", "hub/region", "hub/region", "region/till", "region/till", "hub/region"]);
    expect(results.map(({ counts }) => counts.sent)).toEqual([2, 1]);
  });

  test("goes on without a link whose database is away, and says why", async () => {
    const away = new TomboloError("till is away", { code: "CANNOT_CONNECT", kind: "connect" });
    const results = await syncLinks({
      topology,
      links: topology.links,
      nodes: new Map([
        [nodeName("hub"), { node: {} as Node }],
        [nodeName("region"), { node: {} as Node }],
        [nodeName("till"), { error: away }],
      ]),
      observer: {} as never,
      signal: new AbortController().signal,
      parts: {
        createLink: async ({ link }) => ({
          parent: link.parent,
          child: link.child,
          run: async () => {},
          retryParked: async () => 0,
          sync: async () => ({ sent: 0, received: 0, conflicts: 0, parked: 0 }),
        }),
      },
    });
    expect(results.map(({ error }) => error)).toEqual([undefined, away]);
  });

  test("gives each node the tables of the channels that its links carry, by their local names", () => {
    expect(leavesFirst(topology).map(linkName)).toEqual(["region/till", "hub/region"]);
    const locals = topology.nodes.map((node) => wantedTables(topology, node).map(({ local }) => local));
    expect(locals).toEqual([["shop.orders", "shop.prices"], ["orders", "prices"], ["orders"]]);
  });

  test("knows where rows come in, where keys meet, and which ids are a node's", () => {
    const text = `{ version: 1, name: t, nodes: [
        { name: hub, type: postgres, url: postgres://db/t }, { name: a, type: sqlite, path: a.db, id_slot: 7 },
        { name: b, type: sqlite, path: b.db }, { name: c, type: sqlite, path: c.db } ],
      channels: [ { name: all, tables: [ { name: item, ids: { stride: 10 } } ] } ],
      links: [ { parent: hub, child: a, channels: [{ name: all, direction: up }] }, { parent: hub, child: b, channels: [{ name: all, direction: down }] },
        { parent: b, child: c, channels: [{ name: all, direction: down }] } ] }`;
    const loaded = parseTopology(text, { file: "/t/topology.yaml", env: {}, readFile: () => "" });
    if ("problems" in loaded) throw new Error(JSON.stringify(loaded.problems));
    const wanted = loaded.topology.nodes.flatMap((node) => wantedTables(loaded.topology, node));
    expect(wanted.map(({ receives, sharesKeys, idStride }) => [receives, sharesKeys, idStride?.slot])).toEqual([
      [true, true, 0],
      [false, true, 7],
      [true, false, 2],
      [true, false, 3],
    ]);
  });
});

function tree(): Topology {
  const text = `version: 1
name: tree
nodes:
  - { name: hub, type: postgres, url: "postgres://127.0.0.1:1/shop" }
  - { name: region, type: sqlite, path: ./region.db }
  - { name: till, type: sqlite, path: ./till.db }
channels:
  - { name: sales, tables: [shop.orders] }
  - { name: catalogue, tables: [shop.prices] }
links:
  - { parent: hub, child: region, channels: [{ name: sales }, { name: catalogue, direction: down }] }
  - { parent: region, child: till, channels: [{ name: sales }] }
`;
  const loaded = parseTopology(text, { file: "/t/topology.yaml", env: {}, readFile: () => "" });
  if ("problems" in loaded) throw new Error(JSON.stringify(loaded.problems));
  return loaded.topology;
}

describe("init", () => {
  const found = (name: string, type: "postgres" | "sqlite", tables: Record<string, string[]>): Found => ({
    config:
      type === "postgres"
        ? { name: nodeName(name), type, url: "postgres://u:canary-4711@h/d", capture: "trigger" }
        : { name: nodeName(name), type, path: `/data/${name}.db` },
    variable: type === "postgres" ? "HUB_URL" : null,
    url: type === "postgres" ? "postgres://u:canary-4711@h/d" : null,
    shapes: Object.entries(tables).map(([table, key]) => ({ table, key, columns: [] }) as unknown as Found["shapes"][number]),
  });

  test("drafts a valid topology of the tables that both sides have, without secrets, and says what it leaves out", () => {
    const { text, tables, leftOut } = draftTopology({
      name: "yes",
      nodes: [
        found("hub", "postgres", {
          "shop.orders": ["id"],
          "shop.log": [],
          "shop.own": ["id"],
          "shop.day $1": ["id"],
          "a.twice": ["id"],
          "b.twice": ["id"],
        }),
        found("store-1", "sqlite", { orders: ["id"], log: [], "day $1": ["id"], twice: ["id"] }),
        found("store-2", "sqlite", { orders: ["id"] }),
      ],
      pathOf: (path) => `.${path}`,
    });
    expect(tables).toEqual(["shop.orders", 'shop."day $1"']);
    expect(leftOut.map(({ table }) => table)).toEqual(["shop.log", "shop.own", "a.twice", "b.twice"]);
    expect(text).not.toContain("canary-4711");
    const loaded = parseTopology(text, { file: "/t/topology.yaml", env: { HUB_URL: "postgres://h/d" }, readFile: () => "" });
    if ("problems" in loaded) throw new Error(JSON.stringify(loaded.problems));
    expect(loaded.topology.name).toBe("yes");
    expect(loaded.topology.channels.map((channel) => channel.tables.map(({ name }) => name))).toEqual([["shop.orders"], ['shop."day $1"']]);
    expect(loaded.topology.links.map(({ channels }) => channels.length)).toEqual([2, 1]);
  });
});
