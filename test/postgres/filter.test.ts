import fc from "fast-check";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Change } from "../../replicator/change/change.ts";
import { nodeName, START, tableName } from "../../replicator/change/names.ts";
import type { RowFilter } from "../../replicator/change/row-filter.ts";
import { parseRow } from "../../replicator/change/value.ts";
import type { Finding } from "../../replicator/node/installation.ts";
import { postgresNode, type TestNode, wanted } from "../helpers/nodes.ts";

const STORE = nodeName("store");
const BOUNDS = { maxRows: 5_000, maxBytes: 4 << 20 };
const filter = (text: string, params: RowFilter["params"] = {}): RowFilter => ({ text, params });

describe("a filter is checked by Postgres before anything relies on it", () => {
  let hub: TestNode & { readonly database: { readonly superUrl: string } };
  const tables = [{ name: "shop.orders", exclude: ["secret"], filter: "true" }];
  const findings = async (...filters: RowFilter[]): Promise<Finding[]> => {
    const [table] = wanted(tables, "postgres");
    const plan = await hub.node.installation.plan([{ ...(table as NonNullable<typeof table>), filters }]);
    return plan.findings.filter(({ severity }) => severity === "error");
  };
  beforeAll(async () => {
    hub = await postgresNode(
      "hub",
      `create schema shop; create type shop.mood as enum ('ok', 'bad');
       create table shop.orders (id bigint primary key, region text, qty int, mood shop.mood, at timestamptz, tags text[], secret text,
         doubled int generated always as (qty * 2) stored);
       create function shop.wild(text) returns boolean language plpgsql volatile as 'begin return true; end';
       create function shop.tame(text) returns boolean language sql immutable as 'select $1 = ''north''';`,
      tables,
    );
  });
  afterAll(() => hub.close());

  test.each<[string, RowFilter["params"]]>([
    ["region = :region", { region: "north" }],
    ["id = :id or qty > :least::int", { id: "5", least: "2" }],
    ["orders.region = any (string_to_array(:regions, ','))", { regions: "a,b" }],
    ["mood = 'ok' and at > '2024-01-01' and tags @> array[:tag]", { tag: "x" }],
    ["shop.tame(region) -- why not\n or region in (:a, :b) /* ) */", { a: "1", b: "2" }],
    ["(region, qty) is not distinct from (:r, :q)", { r: "x", q: "1" }],
    ["tags[1:2] = '{a,b}'", {}],
    ["case when qty > 1 then region like :p else false end", { p: "n%" }],
  ])("%s is one", async (text, params) => expect(await findings(filter(text, params))).toEqual([]));

  test.each<[string, string, RowFilter["params"]]>([
    ["a = 1) or (1=1", "FILTER_INVALID", {}],
    ["1=1; drop table shop.orders", "FILTER_INVALID", {}],
    ["1=1 /* ", "FILTER_INVALID", {}],
    ["region =", "FILTER_INVALID", {}],
    ["region", "FILTER_INVALID", {}],
    ["qty = region", "FILTER_INVALID", {}],
    ["qty = 'canary-many'", "FILTER_INVALID", {}],
    [":a is null", "FILTER_INVALID", { a: "canary-1" }],
    ["nothing = 1", "FILTER_COLUMN", {}],
    ["secret = 'canary'", "FILTER_COLUMN", {}],
    ["doubled = 2", "FILTER_COLUMN", {}],
    ["ctid = '(0,1)'", "FILTER_COLUMN", {}],
    ["at > now()", "FILTER_NOT_PURE", {}],
    ["random() > 0.5", "FILTER_NOT_PURE", {}],
    ["shop.wild(region)", "FILTER_NOT_PURE", {}],
    ["at::date = '2024-01-01'", "FILTER_NOT_PURE", {}],
    ["id in (select id from shop.orders)", "FILTER_NOT_PURE", {}],
    ["count(*) > 1", "FILTER_NOT_PURE", {}],
    ["row_number() over () = 1", "FILTER_NOT_PURE", {}],
    ["qty = :q", "FILTER_PARAM", { q: "canary-many" }],
    ["mood = :m", "FILTER_PARAM", { m: "canary-sad" }],
  ])("%s is none: %s", async (text, code, params) => {
    const found = await findings(filter(text, params));
    expect(found.map((finding) => [finding.code, finding.table])).toEqual([[code, "shop.orders"]]);
    expect(JSON.stringify(found)).not.toContain("canary");
  });

  test("the check leaves nothing behind, not even for the sessions of the pool", async () => {
    for (let round = 0; round < 3; round++)
      expect(await findings(filter("region = :a", { a: "1" }), filter("nothing = 1"))).toHaveLength(1);
    expect(await hub.rows("select count(*) from pg_class where relname = 'orders'")).toEqual([["1"]]);
    // named statements of the pool's sessions still work
    for (let round = 0; round < 5; round++) await hub.node.log.tick();
  });

  test("every link's parameters are tried, each fault is told once", async () => {
    const found = await findings(filter("qty = :q", { q: "1" }), filter("qty = :q", { q: "x" }), filter("qty = :q", { q: "y" }));
    expect(found.map(({ code }) => code)).toEqual(["FILTER_PARAM"]);
  });

  test("apply refuses, and no scope is chosen by it", async () => {
    const [table] = wanted(tables, "postgres");
    const bad = { ...(table as NonNullable<typeof table>), filters: [filter("now() > at")] };
    await expect(hub.node.installation.apply([bad])).rejects.toMatchObject({ code: "PLAN_HAS_ERRORS" });
    await hub.node.target.meet([{ name: STORE, role: "child" }]);
    const choice = { table: tableName("shop.orders"), filter: filter("now() > at"), at: null };
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
    ["t = :v", { v: "a" }],
    ["t is null", {}],
    ["t is distinct from :v", { v: "" }],
    ["n > :v", { v: "1.50" }],
    ["n::text = '1.50'", {}],
    ["i = :v or b", { v: "2" }],
    ["f = 'NaN' or f > :v", { v: "0" }],
    ["c = :v", { v: "ab" }],
    ["length(c) = 2 or length(v) > 1", {}],
    ["ci = :v", { v: "AB" }],
    ["ci like 'a%' or ci < 'B'", {}],
    ["j ->> 'k' = :v", { v: "1" }],
    ["jb @> '{\"k\": 1}'", {}],
    ["arr[1] = :v or :w = any (arr)", { v: "a", w: "b" }],
    ["d between '2024-01-01' and :v", { v: "2024-06-01" }],
    ["ts > :v", { v: "2024-01-01 00:00:00+02" }],
    ["m = 'bad' or m > 'ok'", {}],
    ["by = :v", { v: "\\x00ff" }],
    ["bits = B'10'", {}],
    ["nothing.t = 'a' and not b", {}],
    ["null", {}],
    ["t = t", {}],
  ];

  test("as it is read from the log, as a fill has it, and as the table itself", { timeout: 120_000 }, async () => {
    const hub = await postgresNode(
      "hub",
      `create schema shop; create type shop.mood as enum ('ok', 'bad', 'worse');
       create collation shop.insensitive (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
       create domain shop.name as text check (value <> 'never');
       create table shop.nothing (id bigint primary key, t text, n numeric(10,2), i int, f float8, b boolean, c char(4), v varchar(3),
         ci text collate shop.insensitive, j json, jb jsonb, arr text[], d date, ts timestamptz, m shop.mood, by bytea, bits bit(2), dom shop.name)`,
      [{ name: "shop.nothing", filter: "true" }],
    );
    open.push(hub);
    await hub.node.target.meet([{ name: STORE, role: "child" }]);
    const literal = (value: string | null): string => (value === null ? "null" : `'${value.replaceAll("'", "''")}'`);
    const maybe = (...values: string[]): fc.Arbitrary<string | null> => fc.constantFrom(null, ...values);
    const row = fc.tuple(
      ...[
        maybe("a", "A", "", "'); drop table shop.nothing; --"),
        maybe("1.50", "1.5", "2", "-0.01", "NaN"),
        maybe("1", "2", "-5"),
        maybe("NaN", "1e-300", "-0", "Infinity"),
        maybe("t", "f"),
        maybe("ab", "ab  ", "abcd", ""),
        maybe("a", "abc", "ab "),
        maybe("ab", "AB", "aB", "b"),
        maybe('{"k": 1}', '{"k": "1"}', "[]"),
        maybe('{"k": 1}', '{"k": "1"}', "[]"),
        maybe("{a,b}", "{}", '{"a b",NULL}', "{b}"),
        maybe("2024-01-01", "infinity", "2024-12-31"),
        maybe("2024-01-01 00:00:00+00", "2023-12-31 22:00:00+00", "-infinity"),
        maybe("ok", "bad", "worse"),
        maybe("\\x", "\\x00ff"),
        maybe("10", "01"),
        maybe("x", ""),
      ],
    );
    let id = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(row, { minLength: 5, maxLength: 40 }),
        fc.array(row, { minLength: 40, maxLength: 40 }),
        async (rows, next) => {
          const from = id;
          const after = (await hub.node.log.tick()).position;
          const values = rows.map((one) => `(${++id}, ${one.map(literal).join(", ")})`);
          await hub.write(`insert into shop.nothing values ${values.join(", ")}`);
          const filled = (await hub.node.log.tick()).position;
          const names = "t n i f b c v ci j jb arr d ts m by bits dom".split(" ");
          const sets = rows.map(
            (_, at) =>
              `update shop.nothing set (${names.join(", ")}) = row(${(next[at] ?? []).map(literal).join(", ")}) where id = ${from + at + 1}`,
          );
          const read = async (upTo: bigint, from_: bigint, rule: RowFilter): Promise<Change[]> => {
            const request = { reader: STORE, tables: [tableName("shop.nothing")], after: from_ as never, upTo: upTo as never, ...BOUNDS };
            const changes: Change[] = [];
            for await (const group of hub.node.log.read({ ...request, filters: new Map([[tableName("shop.nothing"), rule]]) }))
              changes.push(...group);
            return changes;
          };
          const inTable = async (text: string, params: RowFilter["params"]): Promise<Set<string>> => {
            const bound = text.replace(/(?<!:):([vw])\b/g, (_, name: string) => literal(params[name] as string));
            return new Set((await hub.rows(`select id from shop.nothing where ${bound}`)).map(([key]) => key as string));
          };
          const before = new Map<string, Set<string>>();
          for (const [text, params] of FILTERS) before.set(text, await inTable(text, params));
          for (const [text, params] of FILTERS) {
            const inserted = (await read(filled, after, filter(text, params))).map(({ op, key }) => `${op}${parseRow(key).id}`);
            expect(inserted, text).toEqual(
              [...(before.get(text) ?? [])]
                .filter((key) => Number(key) > from)
                .sort((a, b) => Number(a) - Number(b))
                .map((key) => `I${key}`),
            );
          }
          await hub.write(sets.join("; "));
          const changed = (await hub.node.log.tick()).position;
          for (const [text, params] of FILTERS) {
            const now = await inTable(text, params);
            const was = before.get(text) as Set<string>;
            const ops = new Map((await read(changed, filled, filter(text, params))).map(({ op, key }) => [String(parseRow(key).id), op]));
            for (const [key, op] of ops) expect(op, text).toBe(was.has(key) ? (now.has(key) ? "U" : "D") : "I");
            for (const key of [...was, ...now]) if (was.has(key) !== now.has(key)) expect(ops.has(key), `${text} ${key}`).toBe(true);
            const fill = await hub.node.tables.open(
              [tableName("shop.nothing")],
              new Map([[tableName("shop.nothing"), { rows: filter(text, params) }]]),
            );
            const told = new Set<string>();
            for await (const group of fill.rows(1000, 1 << 20)) for (const { key } of group) told.add(parseRow(key).id as string);
            await fill.close();
            expect(told, text).toEqual(now);
          }
        },
      ),
      { numRuns: 4, endOnFailure: true },
    );
  });

  test("an update that was logged before whole images were is asked for, not guessed at", async () => {
    const hub = await postgresNode("hub", "create table public.item (id bigint primary key, region text, note text)", [{ name: "item" }]);
    open.push(hub);
    await hub.node.target.meet([{ name: STORE, role: "child" }]);
    await hub.write("insert into public.item values (1, 'north', 'a'), (2, 'south', 'b'), (3, 'north', 'c')");
    const from = (await hub.node.log.tick()).position;
    await hub.write("update public.item set note = 'x'; update public.item set region = 'south' where id = 3");
    const upTo = (await hub.node.log.tick()).position;
    const item = tableName("item");
    const filters = new Map([[item, filter("region = :r", { r: "north" })]]);
    const read = async (after: bigint, to: bigint): Promise<string[]> => {
      const found: string[] = [];
      const request = { reader: STORE, tables: [item], after: after as never, upTo: to as never, ...BOUNDS, filters };
      for await (const group of hub.node.log.read(request))
        for (const { op, key, new: now } of group) found.push(`${op} ${parseRow(key).id} ${now === null ? "-" : parseRow(now).note}`);
      return found;
    };
    expect(await read(from, upTo)).toEqual([]);
    const asked = (await hub.node.log.tick()).position;
    expect(new Set(await read(upTo, asked))).toEqual(new Set(["R 1 x", "R 2 -", "R 3 -"]));
    expect(await read(asked, (await hub.node.log.tick()).position)).toEqual([]);
    expect(await read(START, from)).toEqual(["I 1 a", "I 3 c"]);
  });
});
