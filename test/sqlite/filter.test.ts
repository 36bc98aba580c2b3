import fc from "fast-check";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Change } from "../../replicator/change/change.ts";
import { nodeName, tableName } from "../../replicator/change/names.ts";
import type { RowFilter } from "../../replicator/change/row-filter.ts";
import { parseRow, type Value } from "../../replicator/change/value.ts";
import type { Finding } from "../../replicator/node/installation.ts";
import { declaredCollations } from "../../replicator/node/sqlite/declared-collations.ts";
import { sqliteNode, type TestNode, wanted } from "../helpers/nodes.ts";

const STORE = nodeName("store");
const BOUNDS = { maxRows: 5_000, maxBytes: 4 << 20 };
const filter = (text: string, params: RowFilter["params"] = {}): RowFilter => ({ text, params });

test("collations are read from the text of a table", () => {
  const collations = (sql: string): unknown => Object.fromEntries(declaredCollations(sql));
  expect(
    collations(`create table "t (a collate x" -- b text collate nocase,
      (a text collate nocase, "b ""c" varchar(10, 2) /* collate binary */ not null collate "RTRIM" default ('x' collate binary) check (a collate binary <> ','),
       [D]  COLLATE  NoCase, e, \`collate\` text, g int default (1), unique (a collate rtrim, e), constraint k primary key ("e"))`),
  ).toEqual({ a: "nocase", 'b "c': "RTRIM", d: "NoCase" });
  expect(collations("CREATE TABLE x(id INTEGER PRIMARY KEY, n TEXT COLLATE NOCASE) STRICT, WITHOUT ROWID")).toEqual({ n: "NOCASE" });
});

describe("a filter is checked by SQLite before anything relies on it", () => {
  let hub: TestNode;
  const tables = [{ name: "orders", exclude: ["secret"], filter: "true" }];
  const findings = async (...filters: RowFilter[]): Promise<Finding[]> => {
    const [table] = wanted(tables, "sqlite");
    const plan = await hub.node.installation.plan([{ ...(table as NonNullable<typeof table>), filters }]);
    return plan.findings.filter(({ severity }) => severity === "error");
  };
  beforeAll(async () => {
    hub = await sqliteNode(
      "hub",
      "create table orders (id integer primary key, region text, qty int, at text, secret text, doubled int generated always as (qty * 2) stored)",
      tables,
    );
  });
  afterAll(() => hub.close());

  test.each<[string, RowFilter["params"]]>([
    ["region = :region", { region: "north" }],
    ["orders.id = :id or qty > cast(:least as int)", { id: "5", least: "2" }],
    ["instr(',' || :regions || ',', ',' || region || ',')", { regions: "a,b" }],
    ['region -- why not\n in (:a, [region], `region`, "region") /* ) */', { a: "1" }],
    ["date(at) > '2024-01-01' and region like 'n%'", {}],
    ["qty", {}],
    ["json_extract(region, '$.a') = 1", {}],
  ])("%s is one", async (text, params) => expect(await findings(filter(text, params))).toEqual([]));

  test.each<[string, string, RowFilter["params"]]>([
    ["region = 'a') or (1=1", "FILTER_INVALID", {}],
    ["1=1; drop table orders", "FILTER_INVALID", {}],
    ["1=1 /* ", "FILTER_INVALID", {}],
    ["region =", "FILTER_INVALID", {}],
    ["region = ?", "FILTER_INVALID", {}],
    ["nofunction(region)", "FILTER_INVALID", {}],
    ["'canary' 'canary'", "FILTER_INVALID", {}],
    ["missing = 1", "FILTER_COLUMN", {}],
    ["secret = 'canary'", "FILTER_COLUMN", {}],
    ["doubled = 2", "FILTER_COLUMN", {}],
    ["rowid = 2", "FILTER_COLUMN", {}],
    ['region = "canary-not-a-column"', "FILTER_COLUMN", {}],
    ["at > date('now')", "FILTER_NOT_PURE", {}],
    ["qty > 1 and at > datetime(at, 'LocalTime')", "FILTER_NOT_PURE", {}],
    ["case when qty > 1 then at > date() end", "FILTER_NOT_PURE", {}],
    ["at < current_timestamp", "FILTER_NOT_PURE", {}],
    ["random() > 0", "FILTER_NOT_PURE", {}],
    ["id in (select id from orders)", "FILTER_NOT_PURE", {}],
    ["count(*) > 1", "FILTER_NOT_PURE", {}],
    ["row_number() over () = 1", "FILTER_NOT_PURE", {}],
    ["changes() = 0", "FILTER_NOT_PURE", {}],
    ["at > date(:d)", "FILTER_NOT_PURE", { d: "now" }],
    ["region = :nobody", "FILTER_PARAM", {}],
  ])("%s is none: %s", async (text, code, params) => {
    const found = await findings(filter(text, params));
    expect(found.map((finding) => [finding.code, finding.table])).toEqual([[code, "orders"]]);
    expect(JSON.stringify(found)).not.toMatch(/canary(?!-not)/);
  });

  test("apply refuses, and no scope is chosen by it", async () => {
    const [table] = wanted(tables, "sqlite");
    const bad = { ...(table as NonNullable<typeof table>), filters: [filter("random() > 0")] };
    await expect(hub.node.installation.apply([bad])).rejects.toMatchObject({ code: "PLAN_HAS_ERRORS" });
    await hub.node.target.meet([{ name: STORE, role: "child" }]);
    const choice = { table: tableName("orders"), filter: filter("random() > 0"), at: null };
    await expect(hub.node.scopes.choose(STORE, choice)).rejects.toMatchObject({ code: "FILTER_NOT_PURE", kind: "operator" });
    expect(await hub.node.scopes.of(STORE)).toEqual([]);
  });
});

describe("a filter says of an image what it says of the row", () => {
  const open: TestNode[] = [];
  afterEach(async () => {
    for (const node of open.splice(0)) await node.close();
  });

  const FILTERS: readonly [string, RowFilter["params"]][] = [
    ["t = :v", { v: "1" }],
    ["t is null", {}],
    ["t < n", {}],
    ["n = :v", { v: "1" }],
    ["n = '1.0' or i = '01'", {}],
    ["i > :v", { v: "1" }],
    ["r = :v or typeof(r) = 'integer'", { v: "1" }],
    ["b = :v or b = 1", { v: "1" }],
    ["b = x'31' or typeof(b) = 'text'", {}],
    ["nc = :v", { v: "A" }],
    ["nc in ('A', 'b') or nc between 'a' and 'AZ'", {}],
    ["rt = :v", { v: "a" }],
    ["nc = rt or t = nc", {}],
    ["length(t) > 1", {}],
    ["things.t = 'a' and not i", {}],
    ["i", {}],
    ["t", {}],
    ["null", {}],
    ["t || '' = t", {}],
  ];
  const DDL: { readonly [name: string]: string } = {
    ordinary:
      'create table things (id integer primary key, t text, n numeric, i int, r real, b, nc text collate nocase, rt text collate "rtrim")',
    "of ANY":
      "create table things (id integer primary key, t varchar(3), n any, i bigint, r double, b blob, nc collate nocase, rt char collate rtrim)",
    strict:
      "create table things (id integer primary key, t text, n any, i int, r real, b any, nc text collate nocase, rt text collate rtrim) strict",
  };

  test.each(Object.entries(DDL))(
    "as it is read from the log, as a fill has it, and as the table itself (%s)",
    { timeout: 60_000 },
    async (name, ddl) => {
      const hub = await sqliteNode("hub", ddl, [{ name: "things", filter: "true" }]);
      open.push(hub);
      await hub.node.target.meet([{ name: STORE, role: "child" }]);
      const text = ["'a'", "'A'", "'a '", "'1'", "'1.0'", "''", "'B'", "char(0) || 'a'", "'); drop table things; --'"];
      const number = ["1", "01", "1.0", "-5", "9007199254740993", "0.5", "9e999"];
      const bytes = ["x'31'", "x''", "cast(x'ff61' as text)"];
      const strict = name === "strict";
      const one = (...all: string[]): fc.Arbitrary<string> => fc.constantFrom("null", ...all);
      const mixed = [...text, ...number, ...bytes];
      const row = fc.tuple(
        strict ? one(...text, "cast(x'ff61' as text)") : one(...mixed),
        one(...mixed),
        strict ? one("1", "-5", "0", "9007199254740993") : one(...mixed),
        strict ? one(...number) : one(...mixed),
        one(...mixed),
        strict ? one(...text) : one(...mixed),
        strict ? one(...text) : one(...mixed),
      );
      const keyOf = (change: Change): string => (parseRow(change.key).id as Value & { i: string }).i;
      const literal = (value: string): string => `'${value.replaceAll("'", "''")}'`;
      let id = 0;
      await fc.assert(
        fc.asyncProperty(
          fc.array(row, { minLength: 5, maxLength: 40 }),
          fc.array(row, { minLength: 40, maxLength: 40 }),
          async (rows, next) => {
            const from = id;
            const start = (await hub.node.log.tick()).position;
            await hub.write(`insert into things values ${rows.map((values) => `(${++id}, ${values.join(", ")})`).join(", ")}`);
            const filled = (await hub.node.log.tick()).position;
            const things = tableName("things");
            const read = async (after: bigint, upTo: bigint, rule: RowFilter): Promise<Change[]> => {
              const changes: Change[] = [];
              const request = { reader: STORE, tables: [things], after: after as never, upTo: upTo as never, ...BOUNDS };
              for await (const group of hub.node.log.read({ ...request, filters: new Map([[things, rule]]) })) changes.push(...group);
              return changes;
            };
            // a parameter has no affinity, as an expression has none; a literal in its place is the same
            const inTable = async (condition: string, params: RowFilter["params"]): Promise<Set<string>> => {
              const bound = condition.replace(/:v\b/g, () => literal(params.v as string));
              return new Set((await hub.rows(`select id from things where ${bound}`)).map(([key]) => key as string));
            };
            const before = new Map<string, Set<string>>();
            for (const [condition, params] of FILTERS) {
              const was = await inTable(condition, params);
              before.set(condition, was);
              const inserted = (await read(start, filled, filter(condition, params))).map((change) => `${change.op}${keyOf(change)}`);
              const expected = [...was].filter((key) => Number(key) > from).sort((a, b) => Number(a) - Number(b));
              expect(inserted, condition).toEqual(expected.map((key) => `I${key}`));
            }
            const sets = rows.map(
              (_, at) => `update things set (t, n, i, r, b, nc, rt) = (${(next[at] ?? []).join(", ")}) where id = ${from + at + 1}`,
            );
            await hub.write(sets.join("; "));
            const changed = (await hub.node.log.tick()).position;
            for (const [condition, params] of FILTERS) {
              const now = await inTable(condition, params);
              const was = before.get(condition) as Set<string>;
              const ops = new Map((await read(filled, changed, filter(condition, params))).map((change) => [keyOf(change), change.op]));
              for (const [key, op] of ops) expect(op, condition).toBe(was.has(key) ? (now.has(key) ? "U" : "D") : "I");
              for (const key of [...was, ...now]) if (was.has(key) !== now.has(key)) expect(ops.has(key), `${condition} ${key}`).toBe(true);
              const fill = await hub.node.tables.open([things], new Map([[things, { rows: filter(condition, params) }]]));
              const told = new Set<string>();
              try {
                for await (const group of fill.rows(1000, 1 << 20)) for (const change of group) told.add(keyOf(change));
              } finally {
                await fill.close();
              }
              expect(told, condition).toEqual(now);
            }
          },
        ),
        { numRuns: 5, endOnFailure: true },
      );
    },
  );
});
