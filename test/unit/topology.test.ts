import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { filterParams } from "../../replicator/change/filter-text.ts";
import { loadTopology, parseTopology } from "../../replicator/topology/load.ts";
import { nearest } from "../../replicator/topology/suggest.ts";
import { parseTableName } from "../../replicator/topology/table-name.ts";
import type { Topology } from "../../replicator/topology/topology.ts";
import { durationMs, listenAddress, sizeBytes } from "../../replicator/topology/units.ts";

const FILE = "/etc/tombolo/topology.yaml";

const SMALL = `version: 1
name: small
nodes:
  - { name: hub, type: postgres, url: postgres://tombolo@db/shop }
  - { name: store, type: sqlite, path: data/store.db }
channels:
  - { name: sales, tables: [shop.orders, customers] }
links:
  - { parent: hub, child: store, channels: [sales] }
`;

function topologyOf(text: string): Topology {
  const loaded = parseTopology(text, { file: FILE, env: {}, readFile: () => "" });
  if ("problems" in loaded) throw new Error(JSON.stringify(loaded.problems, null, 2));
  return loaded.topology;
}

test("what the file does not say has its documented default", () => {
  expect(topologyOf(SMALL)).toEqual({
    name: "small",
    file: FILE,
    nodes: [
      { name: "hub", type: "postgres", url: "postgres://tombolo@db/shop", capture: "trigger" },
      { name: "store", type: "sqlite", path: "/etc/tombolo/data/store.db" },
    ],
    channels: [
      {
        name: "sales",
        priority: 100,
        tables: [
          { name: "shop.orders", postgres: { schema: "shop", table: "orders" }, sqlite: "orders" },
          { name: "customers", postgres: { schema: "public", table: "customers" }, sqlite: "customers" },
        ].map((table) => ({
          ...table,
          policy: "parent_wins",
          mergeColumns: {},
          groups: [],
          otherwise: "parent_wins",
          module: null,
          detect: "column",
          exclude: [],
          filter: null,
          idStride: null,
        })),
      },
    ],
    links: [{ parent: "hub", child: "store", params: {}, channels: [{ name: "sales", direction: "both" }] }],
    groups: [],
    batch: { maxRows: 5000, maxBytes: 4 * 1024 * 1024, maxWaitMs: 50, compression: "gzip" },
    retry: { initialMs: 1000, factor: 2, maxMs: 32_000, jitter: true },
    log: { keepMs: 7 * 86_400_000, maxSizeBytes: 10 * 1024 ** 3 },
    history: { keepMs: 90 * 86_400_000 },
    reconcile: [],
    metrics: { host: "127.0.0.1", port: 9187 },
    hub: null,
    addsColumns: false,
  });
});

describe("paths", () => {
  const nodes = (url: string): Topology["nodes"] => topologyOf(SMALL.replace("postgres://tombolo@db/shop }", `${url} }`)).nodes;

  test("a relative folder of an embedded Postgres starts at the file's folder, an absolute one stays", () => {
    expect(nodes("embedded:./data/hub")[0]).toMatchObject({ url: "embedded:/etc/tombolo/data/hub" });
    expect(nodes("embedded:/srv/hub")[0]).toMatchObject({ url: "embedded:/srv/hub" });
  });

  test("certificates and modules start there too", () => {
    const text = `${SMALL.replace("[shop.orders, customers]", "[{ name: a, conflict: { policy: module, module: ./m.js } }]")}hub: { tls: { cert: a.crt, key: /k } }\n`;
    const topology = topologyOf(text);
    expect(topology.hub).toEqual({
      host: "127.0.0.1",
      port: 7443,
      tls: { cert: "/etc/tombolo/a.crt", key: "/k", clientCa: null },
      trustProxy: [],
      maxRequests: 6000,
    });
    expect(topology.channels[0]?.tables[0]?.module).toBe("/etc/tombolo/m.js");
  });

  test("a password of its own goes into the URL so that the driver reads exactly it", () => {
    const password = `p@ss/w?o#r%d :'é+`;
    const [hub] = nodes(`postgres://tombolo@db:5433/shop?sslmode=require, password: ${JSON.stringify(password)}`);
    if (hub?.type !== "postgres") throw new Error("no Postgres node");
    const url = new URL(hub.url);
    expect(decodeURIComponent(url.password)).toBe(password);
    expect(hub.url.replace(url.password, "x")).toBe("postgres://tombolo:x@db:5433/shop?sslmode=require");
  });

  test("also where a socket takes the host's place", () => {
    const [hub] = nodes("'postgres:///shop?host=/run/postgresql', password: 'p&w'");
    expect(hub).toMatchObject({ url: "postgres:///shop?host=/run/postgresql&password=p%26w" });
    const [user] = nodes("'postgres://me@/shop?host=/run/postgresql', password: 'p&w'");
    expect(user).toMatchObject({ url: "postgres://me@/shop?host=/run/postgresql&password=p%26w" });
  });
});

test.each(["false", "off", '"off"'])("metrics: %s serves none", (value) => {
  expect(topologyOf(`${SMALL}metrics: ${value}\n`).metrics).toBeNull();
});

describe("a file on disk", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "tombolo-topology-"));
  });
  afterEach(() => rm(folder, { recursive: true }));

  test("is read with its secret files, whose last newline is not a part of the secret", async () => {
    await writeFile(join(folder, "pw"), "s3cret\n");
    await writeFile(join(folder, "t.yaml"), SMALL.replace("shop }", 'shop, password: "${file:pw}" }'));
    expect(await loadTopology(join(folder, "t.yaml"), {})).toMatchObject({
      topology: { nodes: [{ url: "postgres://tombolo:s3cret@db/shop" }, {}] },
    });
  });

  test.each<[string, (path: string) => Promise<void>, string]>([
    ["missing", async () => {}, "ENOENT"],
    ["not UTF-8", (path) => writeFile(path, Buffer.from([0x6e, 0xff])), "ERR_ENCODING_INVALID_ENCODED_DATA"],
  ])("that is %s is a problem, not an exception", async (_what, write, reason) => {
    const path = join(folder, "t.yaml");
    await write(path);
    const problem = { file: path, line: 1, column: 1, code: "FILE_UNREADABLE", message: expect.stringContaining(reason) };
    expect(await loadTopology(path, {})).toMatchObject({ problems: [problem] });
  });

  test("is the same with a byte order mark and Windows line ends", async () => {
    const path = join(folder, "t.yaml");
    await writeFile(path, `\uFEFF${SMALL.replaceAll("\n", "\r\n")}`);
    const loaded = await loadTopology(path, {});
    expect(loaded).toMatchObject({ topology: { name: "small" } });
  });
});

test.each([
  ["0ms", 0],
  ["50ms", 50],
  ["5m", 300_000],
  ["12h", 43_200_000],
  ["7d", 604_800_000],
  ["999999999d", null],
  ["", null],
])("the duration %s is %s ms", (text, ms) => expect(durationMs(text)).toBe(ms));

test.each([
  ["0B", 0],
  ["64KiB", 65_536],
  ["4MiB", 4_194_304],
  ["1TiB", 1_099_511_627_776],
  ["9000TiB", null],
])("the size %s is %s bytes", (text, bytes) => expect(sizeBytes(text)).toBe(bytes));

test.each([
  ["127.0.0.1:9187", { host: "127.0.0.1", port: 9187 }],
  ["[::1]:0", { host: "::1", port: 0 }],
  ["metrics.example.com:80", { host: "metrics.example.com", port: 80 }],
  ["[::1]:70000", null],
])("the address %s is %j", (text, address) => expect(listenAddress(text)).toEqual(address));

test.each([
  ["orders", { schema: "public", table: "orders" }],
  ["shop.orders", { schema: "shop", table: "orders" }],
  ["Shop.Orders", { schema: "Shop", table: "Orders" }],
  ['"my schema"."a.b"', { schema: "my schema", table: "a.b" }],
  ['shop."say ""hi"""', { schema: "shop", table: 'say "hi"' }],
  ["größe.straße", { schema: "größe", table: "straße" }],
  [`shop.${"é".repeat(32)}`, null],
  ['shop."', null],
  ['"shop"orders', null],
])("the table name %s is %j", (text, place) => expect(parseTableName(text)).toEqual(place));

test.each([
  ["region = :region", ["region"]],
  ["a = :a and b = :b or :a is null", ["a", "b"]],
  ["x::text = ':no' and \":no\" = 1 and y=:y", ["y"]],
  ["t[1:n] = 1 and t[:n] = 2 and t[(:i)] = 3", ["i"]],
  ["t @> array[:a, :b] and u = array [[:c],[:d]] and v[ :no] = w[1]", ["a", "b", "c", "d"]],
  ["a = $q$ :no $q$ and b = E'it\\'s :no' and c = :c -- :no", ["c"]],
  ["/* :no /* :no */ :no */ a = :a", ["a"]],
])("the parameters of the filter %s are %j", (filter, names) => expect(filterParams(filter)).toEqual(names));

test("a suggestion is near, or there is none", () => {
  expect(nearest("captrue", ["capture", "name"])).toBe("capture");
  expect(nearest("max-rows", ["max_rows", "max_bytes"])).toBe("max_rows");
  expect(nearest("xyzzy", ["capture", "name"])).toBeUndefined();
});
