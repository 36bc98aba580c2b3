import * as zlib from "node:zlib";
import { describe, expect, test } from "vitest";
import { type Environment, parseTopology } from "../../replicator/topology/load.ts";

const FILE = "/etc/tombolo/topology.yaml";

const BASE = `version: 1
name: retail
nodes:
  - name: hub
    type: postgres
    url: postgres://tombolo@db/shop
  - name: store-1
    type: sqlite
    path: ./store-1.db
channels:
  - name: sales
    tables:
      - name: shop.orders
      - shop.items
links:
  - parent: hub
    child: store-1
    channels: [sales]
`;

function problemsOf(text: string, env: Environment = {}) {
  const readFile = (path: string): string => {
    throw Object.assign(new Error(path), { code: "ENOENT" });
  };
  const loaded = parseTopology(text, { file: FILE, env, readFile });
  return "problems" in loaded ? loaded.problems : [];
}

/**
 * The text without its marks, and what they say: `«CODE»` stands right before the place where a problem of this code is to be
 * shown. So the expected lines and columns are where the reader sees them.
 */
function unmarked(marked: string): { text: string; expected: string[] } {
  const expected: string[] = [];
  let text = "";
  for (const [index, part] of marked.split(/«([A-Z_]+)»/).entries()) {
    if (index % 2 === 0) text += part;
    else expected.push(`${text.split("\n").length}:${text.length - text.lastIndexOf("\n")} ${part}`);
  }
  return { text, expected };
}

/** Every problem is where its mark is, and there is no other. */
function expectProblems(marked: string, env: Environment = {}): void {
  const { text, expected } = unmarked(marked);
  expect(problemsOf(text, env).map(({ line, column, code }) => `${line}:${column} ${code}`)).toEqual(expected);
}

/** BASE with one stretch of it replaced; the stretch must be there, or the test says nothing. */
function base(...edits: readonly (readonly [from: string, to: string])[]): string {
  return edits.reduce((text, [from, to]) => {
    if (!text.includes(from)) throw new Error(`not in the base file: ${from}`);
    return text.replace(from, () => to);
  }, BASE);
}

test("the file that the others are made from has no problem", () => {
  expect(problemsOf(BASE)).toEqual([]);
});

test("every problem is shown at once, in the order of the file, whatever its kind", () => {
  expectProblems(`version: «BAD_CHOICE»2
name: retail
nodes:
  - name: hub
    type: postgres
    url: «VARIABLE_UNSET»\${HUB_URL}
    «UNKNOWN_KEY»captrue: slot
  - name: store-1
    type: sqlite
    path: ./store-1.db
  - name: «NODE_WITHOUT_LINK»store-2
    type: sqlite
    path: «SAME_DATABASE»store-1.db
channels:
  - name: sales
    tables:
      - { name: shop.orders, conflict: «BAD_CHOICE»newst_wins }
      - «TABLE_TWICE»shop.orders
links:
  - parent: hub
    child: store-1
    channels: [sales, «UNKNOWN_CHANNEL»sale]
  - parent: store-1
    child: «SELF_LINK»store-1
    channels: [sales]
batch: { max_wait: «BAD_DURATION»50 ms, max_bytes: «BAD_SIZE»4MB }
«DUPLICATE_KEY»name: again
`);
});

describe("YAML", () => {
  test.each<[string, string]>([
    ["an empty file", "«EMPTY_VALUE»"],
    ["a list for a file", "«WRONG_TYPE»- a\n"],
    ["an open bracket", "nodes: [1\n«YAML_SYNTAX»name: x\n"],
    ["a tab", "nodes:\n«YAML_SYNTAX»\t- x\n"],
    ["a second document", `${BASE}«YAML_SYNTAX»---\na: 1\n`],
    ["an unknown tag", base(["name: retail", "name: «YAML_TAG»!secret retail"])],
    ["an alias without its anchor", base(["[sales]", "«YAML_ALIAS»*sales"])],
    ["an alias inside of itself", base(["channels: [sales]", "channels: &c «YAML_ALIAS»[*c]"])],
    ["a key that is a number", base(["[sales]", "[sales]\n    params: { «YAML_KEY»5: x }"])],
    ["a key that reaches for the prototype", base(["name: retail", "name: retail\n«YAML_KEY»__proto__: { polluted: 1 }"])],
  ])("%s is shown at its place", (_what, marked) => expectProblems(marked));

  test("aliases that multiply end in a problem instead of filling the memory", { timeout: 60_000 }, () => {
    const levels = Array.from({ length: 12 }, (_, i) => `a${i + 1}: &a${i + 1} [${Array(9).fill(`*a${i}`).join(", ")}]`);
    const codes = problemsOf(`a0: &a0 [x, x, x, x, x, x, x, x, x]\n${levels.join("\n")}\n`).map(({ code }) => code);
    expect(codes).toContain("YAML_ALIAS");
  });

  test("a variable without quotes between braces is explained", () => {
    const [problem] = problemsOf(base(["[sales]", "[{ name: ${CHANNEL} }]"]), { CHANNEL: "sales" });
    expect(problem).toMatchObject({ line: 18, code: "YAML_SYNTAX", hint: expect.stringContaining('"${VAR}"') });
  });
});

describe("keys and types", () => {
  test.each<[string, string]>([
    ["an unknown key", base(["name: retail", "name: retail\n«UNKNOWN_KEY»chanels: []"])],
    [
      "an unknown key of a conflict",
      base(["- name: shop.orders", "- { name: shop.orders, conflict: { policy: merge, «UNKNOWN_KEY»colums: {}, groups: [[a, b]] } }"]),
    ],
    ["a missing key", base(["  - name: store-1\n", "  - «MISSING_KEY»name: store-1\n"], ["    path: ./store-1.db\n", ""])],
    [
      "a missing kind of node, and a slip beside it",
      base(["  - name: store-1", "  - «MISSING_KEY»name: store-1"], ["type: sqlite", "«UNKNOWN_KEY»tpye: sqlite"]),
    ],
    ["a kind of node that there is not", base(["type: sqlite", "type: «BAD_CHOICE»sqllite"])],
    ["a key without a value", base(["path: ./store-1.db", "«EMPTY_VALUE»path:"])],
    ["a section without keys", `${BASE}«EMPTY_VALUE»batch:\n`],
    ["a number for a text", base(["name: retail", "name: «WRONG_TYPE»2024"])],
    ["a text for a number", `${BASE}batch: { max_rows: «WRONG_TYPE»"5000" }\n`],
    ["a fraction for a whole number", `${BASE}batch: { max_rows: «WRONG_TYPE»1.5 }\n`],
    ["a map for a list", base(["[sales]", "«WRONG_TYPE»{ name: sales }"])],
    ["a number for a table", base(["- shop.items", "- «WRONG_TYPE»7"])],
    ["a number too small", `${BASE}batch: { max_rows: «OUT_OF_RANGE»0 }\n`],
    ["a number too big", `${BASE}retry: { factor: «OUT_OF_RANGE»1000 }\n`],
    ["a list without an item", base(["[sales]", "«LIST_TOO_SHORT»[]"])],
    ["a parameter's value that is no text", base(["[sales]", "[sales]\n    params: { shop: «WRONG_TYPE»17 }"])],
    ["a parameter's name", base(["[sales]", "[sales]\n    params: { «BAD_NAME»a-b: x }"])],
    ["metrics neither on nor off", `${BASE}metrics: «BAD_CHOICE»never\n`],
  ])("%s is shown at its place", (_what, marked) => expectProblems(marked));

  test.each<[string, string, string]>([
    ["a swapped letter", base(["type: sqlite", "tpye: sqlite"]), "`type`"],
    ["a hyphen", `${BASE}batch: { max-rows: 5 }\n`, "`max_rows`"],
    ["a policy", base(["- name: shop.orders", "- { name: shop.orders, conflict: newest-wins }"]), "`newest_wins`"],
    ["a node", base(["child: store-1", "child: stroe-1"]), "`store-1`"],
    ["a channel", base(["[sales]", "[sale]"]), "`sales`"],
  ])("a slip in %s is answered with what was meant", (_what, text, meant) => {
    expect(problemsOf(text).map(({ hint }) => hint)).toContainEqual(expect.stringContaining(`Did you mean ${meant}?`));
  });
});

test("where a choice, a list or a map may stand, the hint names them all", () => {
  const hintOf = (rest: string): string | undefined => problemsOf(`${BASE}${rest}\n`)[0]?.hint;
  expect(hintOf("metrics: true")).toBe("Use `false` or `off`, or a map.");
  expect(hintOf('reconcile: [{ name: r, cron: "@daily", links: hub/store-1 }]')).toBe("Use `all`, or a list.");
});

describe("forms", () => {
  test.each(["../../x", "a/b", "", "a b", ".hidden", "x".repeat(64), "name\u0000", "café"])("%j is no name of a node", (name) => {
    const text = JSON.stringify(name);
    expectProblems(base(["name: store-1", `name: «BAD_NAME»${text}`], ["child: store-1", `child: «BAD_NAME»${text}`]));
  });

  test.each(["50", "50 ms", "1.5s", "5M", "-1s", "1h30m", "05s", "s", "٣s", "1e3s"])("%j is no duration", (text) => {
    expectProblems(`${BASE}history: { keep: «BAD_DURATION»"${text}" }\n`);
  });

  test.each(["4MB", "4mib", "4 MiB", "1.5GiB", "-1B", "999999999TiB", "MiB", "4"])("%j is no size", (text) => {
    expectProblems(`${BASE}batch: { max_bytes: «BAD_SIZE»"${text}" }\n`);
  });

  test.each(["9187", ":9187", "127.0.0.1", "127.0.0.1:65536", "::1:9187", "a b:1", "http://x:1", "h:01"])("%j is no address", (text) => {
    expectProblems(`${BASE}metrics: { listen: «BAD_LISTEN»"${text}" }\n`);
  });

  test.each(["* * *", "61 * * * *", "0 0 30 2 *", "tomorrow", "2026-01-01T00:00:00", ""])("%j never comes due", (text) => {
    expectProblems(`${BASE}reconcile: [{ name: r, cron: «BAD_CRON»"${text}" }]\n`);
  });

  test.each(["Europe/Berln", "+01:00", ""])("%j is no time zone", (text) => {
    expectProblems(`${BASE}reconcile: [{ name: r, cron: "0 3 * * *", timezone: «BAD_TIMEZONE»"${text}" }]\n`);
  });

  test.each([
    "http://db/shop",
    "mysql://db/shop",
    "localhost/shop",
    "embedded:",
    "postgres://u:p%zz@db/shop",
    "postgres://u:1/2@db/shop",
    "postgres://u:1?2@db/shop",
    "postgres://u:1#2@db/shop",
    "postgres://u:a/b@db/shop",
    "postgres://db:5432x/shop",
    "postgres://a:1,b:2/shop",
    "postgres://db/my shop",
  ])("%j is no Postgres URL", (url) => {
    expectProblems(base(["postgres://tombolo@db/shop", `«BAD_URL»"${url}"`]));
  });

  test.each([":memory:", "file:x.db?mode=ro", "", "data/", "..", "sqlite://x.db"])("%j is no SQLite file", (path) => {
    expectProblems(base(["./store-1.db", `«BAD_PATH»"${path}"`]));
  });

  const TABLES = ["a.b.c", "shop.", ".orders", "tombolo.change", "pg_catalog.pg_class", "order lines", `shop.${"x".repeat(64)}`];
  test.each(TABLES)("%j is no table that can be replicated", (name) => {
    expectProblems(base(["- shop.items", `- «BAD_TABLE_NAME»"${name}"`]));
  });
});

describe("the tree", () => {
  const NODES = base([
    "channels:\n",
    "  - { name: mid, type: postgres, url: postgres://mid/shop }\n  - { name: leaf, type: sqlite, path: leaf.db }\nchannels:\n",
  ]).replace(/links:[\s\S]*/, "links:\n");
  const tree = (...links: readonly string[]): string => NODES + links.map((link) => `  - { ${link} }\n`).join("");
  const STORE = "parent: hub, child: store-1, channels: [sales]";
  const MID = "parent: hub, child: mid, channels: [sales]";
  const LEAF = "parent: mid, child: leaf, channels: [sales]";

  test.each<[string, string]>([
    ["a whole tree has no problem", tree(STORE, MID, LEAF)],
    ["links may be in any order", tree(LEAF, MID, STORE)],
    ["a second parent", tree(STORE, MID, LEAF, "parent: store-1, child: «TWO_PARENTS»leaf, channels: [sales]")],
    ["the same link twice", tree(STORE, MID, LEAF, "parent: hub, child: «LINK_TWICE»mid, channels: [sales]")],
    ["a circle", tree(STORE, LEAF, "parent: leaf, child: «LINK_CYCLE»mid, channels: [sales]")],
    ["two hubs", tree(STORE, LEAF).replace("name: mid", "name: «TWO_HUBS»mid")],
    ["a node in no link", tree(STORE, MID).replace("name: leaf", "name: «NODE_WITHOUT_LINK»leaf")],
    ["a node that there is not, said once", tree(STORE, MID, "parent: mid, child: «UNKNOWN_NODE»leef, channels: [sales]")],
    ["a channel that there is not, said once", tree(STORE, MID, "parent: mid, child: leaf, channels: [«UNKNOWN_CHANNEL»sale]")],
    ["a channel twice in a link", tree(STORE, MID, "parent: mid, child: leaf, channels: [sales, «CHANNEL_TWICE»sales]")],
  ])("%s", (_what, marked) => expectProblems(marked));

  test("a channel that does not reach the parent can't go on to its child", () => {
    const text = base([
      "channels:\n  - name: sales",
      "  - { name: leaf, type: sqlite, path: leaf.db }\nchannels:\n  - { name: stock, tables: [shop.stock] }\n  - name: sales",
    ]);
    const link = (channel: string): string => `  - parent: store-1\n    child: leaf\n    channels: [sales, ${channel}]\n`;
    expectProblems(text + link("«CHANNEL_NOT_AT_PARENT»stock"));
    expectProblems(text.replace("channels: [sales]\n", "channels: [sales, stock]\n") + link("stock"));
  });

  const DIRECTIONS = ["both", "down", "up"];
  test.each(DIRECTIONS.flatMap((above) => DIRECTIONS.map((below) => [above, below] as const)))(
    "%s above and %s below: refused exactly where changes would come up and end",
    (above, below) => {
      const mark = above === "down" && below !== "down" ? "«DIRECTION_CONFLICT»" : "";
      const mid = `parent: hub, child: mid, channels: [{ name: sales, direction: ${above} }]`;
      expectProblems(tree(STORE, mid, `parent: mid, child: leaf, channels: [{ name: ${mark}sales, direction: ${below} }]`));
    },
  );

  const twoPostgres = (first: string, second: string): string =>
    base(["postgres://tombolo@db/shop", first], ["type: sqlite", "type: postgres"], ["path: ./store-1.db", `url: ${second}`]);
  test.each<[string, string]>([
    ["two nodes of one name", base(["channels:\n", "  - { name: «DUPLICATE_NODE»HUB, type: sqlite, path: x.db }\nchannels:\n"])],
    ["two channels of one name", base(["links:", "  - { name: «DUPLICATE_CHANNEL»sales, tables: [a.b] }\nlinks:"])],
    ["two schedules of one name", `${BASE}reconcile: [{ name: r, cron: "@daily" }, { name: «DUPLICATE_RECONCILE»r, cron: "@daily" }]\n`],
    [
      "two groups of one name",
      `${BASE}groups: [{ name: g, parent: hub, channels: [sales] }, { name: «DUPLICATE_GROUP»g, parent: hub, channels: [sales] }]\n`,
    ],
    [
      "a schedule for a link that there is not",
      `${BASE}reconcile: [{ name: r, cron: "@daily", links: [hub/store-1, «UNKNOWN_LINK»hub/store-2] }]\n`,
    ],
    [
      "one database under two URLs",
      twoPostgres("postgres://tombolo@db/shop", "«SAME_DATABASE»postgresql://other:pw@DB:5432/shop?sslmode=require"),
    ],
    ["one database of this machine under two names", twoPostgres("postgres://localhost/shop", "«SAME_DATABASE»postgres://127.0.0.1/shop")],
    ["one embedded Postgres twice", twoPostgres("embedded:./hub", "«SAME_DATABASE»embedded:/etc/tombolo/x/../hub")],
    ["two databases of one server", twoPostgres("postgres://tombolo@db/shop", "postgres://tombolo@db/shop2")],
  ])("%s", (_what, marked) => expectProblems(marked));
});

describe("tables", () => {
  const table = (rest: string): string => base(["- name: shop.orders", `- { name: shop.orders, ${rest} }`]);
  const onlyDown = (text: string): string => text.replace("[sales]", "[{ name: sales, direction: down }]");
  const withParams = (text: string, params: string): string => text.replace("[sales]", `[sales]\n    params: { ${params} }`);

  test.each<[string, string]>([
    ["a table in two channels", base(["links:", "  - { name: more, tables: [«TABLE_TWICE»shop.items] }\nlinks:"])],
    ["a table under two spellings", base(["- shop.items", `- «TABLE_TWICE»'"shop"."orders"'`])],
    ["a table with and without `public`", base(["- name: shop.orders", "- name: items"], ["- shop.items", "- «TABLE_TWICE»public.items"])],
    ["two tables of one name in SQLite", base(["- shop.items", "- «SQLITE_NAME_COLLISION»archive.Orders"])],
    ["two tables of one name, one renamed", base(["- shop.items", "- { name: archive.orders, sqlite_name: old_orders }"])],
    [
      "two tables of one name on Postgres alone",
      base(["- shop.items", "- archive.orders"], ["type: sqlite", "type: postgres"], ["path: ./store-1.db", "url: postgres://b/c"]),
    ],
    ["a name that Tombolo keeps for itself", table("sqlite_name: «BAD_TABLE_NAME»tombolo_orders")],
    ["a policy where nothing comes up", onlyDown(table("conflict: «POLICY_WITHOUT_EFFECT»newest_wins"))],
    ["the default policy where nothing comes up", onlyDown(table("conflict: parent_wins"))],
    [
      "a filter without its parameter",
      withParams(table(`filter: "region = :region and :a::text = ':no' and t[1:two] = 1"`), "a: x").replace(
        "[sales]",
        "[«FILTER_PARAM_MISSING»sales]",
      ),
    ],
    [
      "a group without the filter's parameter",
      `${withParams(table(`filter: ":a = 1"`), "a: x")}groups: [{ name: g, parent: hub, channels: [«FILTER_PARAM_MISSING»sales] }]\n`,
    ],
    [
      "a column merged that does not travel",
      table("exclude: [note], conflict: { policy: merge, columns: { «MERGE_COLUMN_TWICE»note: text } }"),
    ],
  ])("%s", (_what, marked) => expectProblems(marked));

  test.each<[string, string]>([
    ["merge that says what", "policy: merge, columns: { note: text }, groups: [[city, zip]], otherwise: newest_wins"],
    ["merge that says nothing", "policy: «MERGE_WITHOUT_COLUMNS»merge"],
    ["merge of a kind that there is not", "policy: merge, columns: { note: «BAD_CHOICE»txt }"],
    ["merge that falls back on itself", "policy: merge, groups: [[a, b]], otherwise: «BAD_CHOICE»merge"],
    ["a column in a group and by itself", "policy: merge, columns: { city: text }, groups: [[«MERGE_COLUMN_TWICE»city, zip]]"],
    ["a group of one", "policy: merge, groups: [«LIST_TOO_SHORT»[city]]"],
    ["columns without merge", "policy: newest_wins, «CONFLICT_KEY_UNUSED»columns: { a: text }"],
    ["module without its file", "policy: «MODULE_MISSING»module"],
  ])("conflict: %s", (_what, rest) => expectProblems(table(`conflict: { ${rest} }`)));

  test("a conflict without a policy", () => expectProblems(table("conflict: «MISSING_KEY»{ columns: { a: text } }")));
});

describe("strides of ids", () => {
  const strided = (stride: string, ...edits: readonly (readonly [string, string])[]): string =>
    base(["- name: shop.orders", `- { name: shop.orders, ids: { stride: ${stride} } }`], ...edits);
  const slots = (hub: string, store: string): (readonly [string, string])[] => [
    ["url: postgres://tombolo@db/shop", `url: postgres://tombolo@db/shop\n    id_slot: ${hub}`],
    ["path: ./store-1.db", `path: ./store-1.db\n    id_slot: ${store}`],
  ];
  const store2 = "  - name: store-2\n    type: sqlite\n    path: ./store-2.db\n";

  test.each<[string, string]>([
    ["with room for every node by its place", strided("2")],
    ["with slots that are written down", strided("9", ...slots("8", "3"))],
    ["of one only", strided("«OUT_OF_RANGE»1")],
    [
      "smaller than the number of nodes",
      `${strided("«ID_STRIDE_TOO_SMALL»2", ["channels:\n  - name", `${store2}channels:\n  - name`])}  - { parent: hub, child: store-2, channels: [sales] }\n`,
    ],
    [
      "that a node has no part in, since the table does not come there",
      `${strided("2", ["channels:\n  - name", `${store2}channels:\n  - { name: other, tables: [b] }\n  - name`])}  - { parent: hub, child: store-2, channels: [other] }\n`,
    ],
    ["with a slot beyond it", strided("«ID_STRIDE_TOO_SMALL»5", ...slots("0", "5"))],
    ["with one slot twice", strided("5", ...slots("4", "«ID_SLOT_TWICE»4"))],
    [
      "with a slot that is another's place",
      strided("5", ["url: postgres://tombolo@db/shop", "url: postgres://tombolo@db/shop\n    id_slot: «ID_SLOT_TWICE»1"]),
    ],
    ["with a slot that is none", strided("5", ...slots("«OUT_OF_RANGE»-1", "«WRONG_TYPE»two"))],
    ["and one slot twice where nothing is strided", base(...slots("4", "4"))],
  ])("%s", (_what, marked) => expectProblems(marked));

  test("and slots may come from variables", () => {
    expectProblems(strided('"${STRIDE}"', ...slots("${HUB}", "«ID_SLOT_TWICE»${STORE}")), { STRIDE: "5", HUB: "3", STORE: "3" });
    expectProblems(strided('«ID_STRIDE_TOO_SMALL»"${STRIDE}"', ...slots("${HUB}", "1")), { STRIDE: "5", HUB: "7" });
  });
});

describe("services and settings", () => {
  test.each<[string, string]>([
    ["TLS without its key", "hub: { tls: «MISSING_KEY»{ cert: a.crt } }"],
    [
      "one address for two services",
      "metrics: { listen: 127.0.0.1:9000 }\nhub: { listen: «LISTEN_TWICE»0.0.0.0:9000, trust_proxy: [10.0.0.7] }",
    ],
    ["tokens in the clear", "hub: { listen: «HUB_PLAIN_HTTP»0.0.0.0:9000 }"],
    ["a proxy that is no address", "hub: { trust_proxy: [«BAD_NETWORK»proxy.example.com] }"],
    ["a network of too many bits", "hub: { trust_proxy: [«BAD_NETWORK»10.0.0.0/33] }"],
    ["the address that metrics have by default", 'hub: { listen: «LISTEN_TWICE»"127.0.0.1:9187" }'],
    ["the same address with metrics off", 'metrics: off\nhub: { listen: "127.0.0.1:9187" }'],
    ["a first wait beyond the longest", "retry: { initial: «RETRY_ORDER»1m }"],
    ["a link that is none", 'reconcile: [{ name: nightly, cron: "0 3 * * *", links: [«BAD_LINK»store-1] }]'],
    ["no wait at all", "retry: { initial: «BAD_DURATION»0ms }"],
  ])("%s", (_what, rest) => expectProblems(`${BASE}${rest}\n`));

  test("a column without a name is none", () => {
    expectProblems(base(["- name: shop.orders", '- name: shop.orders\n        exclude: [«BAD_TEXT»""]']));
  });

  test("zstd is refused exactly where Node has none", () => {
    expectProblems(`${BASE}batch: { compression: ${"zstdCompress" in zlib ? "" : "«ZSTD_UNAVAILABLE»"}zstd }\n`);
  });

  test("a password in the URL and beside it is one too many", () => {
    expectProblems(base(["postgres://tombolo@db/shop", "postgres://tombolo:a@db/shop\n    password: «PASSWORD_TWICE»b"]));
  });
});

test("a message says where, what and what to do", () => {
  expect(problemsOf(base(["path: ./store-1.db", "path: ./store-1.db\n    sie: 4"]))).toEqual([
    {
      file: FILE,
      line: 10,
      column: 5,
      code: "UNKNOWN_KEY",
      message: "`nodes[1].sie` is no key of a topology.",
      hint: "Known here: name, type, path, id_slot.",
    },
  ]);
});
