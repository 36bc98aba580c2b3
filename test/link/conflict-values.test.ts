import { afterEach, describe, expect, test } from "vitest";
import type { ConflictRecord, DecidedBy } from "../../replicator/node/conflict-desk.ts";
import type { WantedTable } from "../../replicator/node/installation.ts";
import { postgresNode, sqliteNode, type TestNode, type TestTable, testLink, wanted } from "../helpers/nodes.ts";

const TABLES: TestTable[] = [{ name: "item", policy: "parent_wins" }];
const BY: DecidedBy = { who: "ann", force: false };

const open: TestNode[] = [];
afterEach(async () => {
  for (const node of open.splice(0)) await node.close();
});
const keep = <T extends TestNode>(node: T): T => {
  open.push(node);
  return node;
};

interface Column {
  readonly name: string;
  readonly postgres: string;
  readonly sqlite: string;
  /** Literals that both engines take, or one for each. */
  readonly versions: readonly [
    base: string | readonly [string, string],
    parent: string | readonly [string, string],
    child: string | readonly [string, string],
  ];
}

const COLUMNS: readonly Column[] = [
  { name: "big", postgres: "bigint", sqlite: "integer", versions: ["9007199254740993", "-9223372036854775808", "9223372036854775807"] },
  { name: "price", postgres: "numeric(20, 4)", sqlite: "text", versions: ["'1.5000'", "'9007199254740993.0001'", "'-0.0001'"] },
  { name: "ratio", postgres: "float8", sqlite: "real", versions: ["0.1", "1e300", ["'Infinity'", "9e999"]] },
  {
    name: "photo",
    postgres: "bytea",
    sqlite: "blob",
    versions: [
      ["'\\x00ff'", "x'00ff'"],
      ["'\\x'", "x''"],
      ["'\\x27225c'", "x'27225c'"],
    ],
  },
  { name: "attrs", postgres: "jsonb", sqlite: "text", versions: [`'{"a": 1}'`, `'{"a": 12345678901234567890}'`, `'[]'`] },
  {
    name: "at",
    postgres: "timestamptz",
    sqlite: "text",
    versions: ["'2026-01-31 12:00:00.123456+00'", "'2026-01-31 12:00:00+00'", "'infinity'"],
  },
  { name: "ok", postgres: "boolean", sqlite: "integer", versions: [["true", "1"], ["false", "0"], "null"] },
  { name: "code", postgres: "char(5)", sqlite: "text", versions: ["'ab   '", "'cd   '", "'e'"] },
  { name: "tags", postgres: "text[]", sqlite: "text", versions: ["'{a,b}'", `'{"with \\"quotes\\"",NULL}'`, "'{}'"] },
  { name: "note", postgres: "text", sqlite: "text", versions: ["''", `'it''s "x" \\n'`, "'NULL'"] },
];

const literal = (version: string | readonly [string, string] | undefined, engine: "postgres" | "sqlite"): string =>
  typeof version === "string" ? version : (version?.[engine === "postgres" ? 0 : 1] ?? "null");

const list = (engine: "postgres" | "sqlite", version: number): string =>
  COLUMNS.map(({ versions }) => literal(versions[version], engine)).join(", ");
const assign = (engine: "postgres" | "sqlite", version: number): string =>
  COLUMNS.map(({ name, versions }) => `${name} = ${literal(versions[version], engine)}`).join(", ");
const schema = (engine: "postgres" | "sqlite"): string =>
  `create table item (id ${engine === "postgres" ? "bigint" : "integer"} primary key, ${COLUMNS.map((column) => `${column.name} ${column[engine]}`).join(", ")})`;
const place = async (engine: "postgres" | "sqlite", name: string, tables = TABLES): Promise<TestNode> =>
  keep(await (engine === "postgres" ? postgresNode : sqliteNode)(name, schema(engine), tables));

describe.each([
  ["postgres", "sqlite"],
  ["sqlite", "postgres"],
  ["sqlite", "sqlite"],
  ["postgres", "postgres"],
] as const)("%s over %s", (above, below) => {
  test("values of all types are decided for, compared and replicated without losing anything", async () => {
    const hub = await place(above, "hub");
    const store = await place(below, "store");
    const exact = (node: TestNode, engine: string): Promise<(string | null)[][]> =>
      node.rows(
        `select ${COLUMNS.map(({ name }) => (engine === "sqlite" ? `quote(${name})` : `${name}::text`)).join(", ")} from item where id = 1`,
      );
    const link = testLink(hub.node, store.node, TABLES);
    const versions: (string | null)[][][] = [];
    await hub.write(`insert into item values (1, ${list(above, 0)})`);
    versions.push(await exact(hub, above));
    await link.settle();
    await store.write(`update item set ${assign(below, 2)} where id = 1`);
    await hub.write(`update item set ${assign(above, 1)} where id = 1`);
    versions.push(await exact(hub, above));
    await link.settle();
    const { conflicts } = hub.node;
    let [record] = (await conflicts.list({ limit: 2 })) as [ConflictRecord];
    expect(record).toMatchObject({ kind: "update_update", resolution: "parent" });
    for (const take of ["child", "base", "parent", "child", "parent"] as const) {
      // none of these finds that the row has changed since
      record = await conflicts.resolve(record, { take }, BY);
      await link.settle();
      const [now, there] = [await exact(hub, above), await exact(store, below)];
      if (take === "child") {
        versions[2] ??= now;
        expect(now).toEqual(versions[2]);
        expect(now).not.toEqual(versions[1]);
      } else expect(now).toEqual(versions[take === "base" ? 0 : 1]);
      expect(there.flat().length).toBe(COLUMNS.length);
      if (above === below) expect(there).toEqual(now);
    }
    expect((await conflicts.show(record.id))?.now).toEqual((await conflicts.show(record.id))?.record.result);
  });

  test("what a policy has made of the row is not taken for a later change", async () => {
    const tables: TestTable[] = [{ name: "item", policy: "child_wins" }];
    const hub = await place(above, "hub", tables);
    const store = await place(below, "store", tables);
    const link = testLink(hub.node, store.node, tables);
    await hub.write(`insert into item values (1, ${list(above, 0)})`);
    await link.settle();
    await store.write(`update item set ${assign(below, 2)} where id = 1`);
    await hub.write(`update item set ${assign(above, 1)} where id = 1`);
    await link.settle();
    const [record] = (await hub.node.conflicts.list({ limit: 2 })) as [ConflictRecord];
    expect(record).toMatchObject({ resolution: "child" });
    expect(await hub.node.conflicts.resolve(record, { take: "parent" }, BY)).toMatchObject({ result: record.parent });
  });
});

describe("values that a person gives", () => {
  /** A hub with one conflict of its own engine's row 1. */
  async function conflictAt(
    engine: "postgres" | "sqlite",
    table = schema(engine),
    before = `insert into item values (1, ${list(engine, 0)})`,
  ): Promise<{ hub: TestNode; record: ConflictRecord }> {
    const hub = keep(await (engine === "postgres" ? postgresNode : sqliteNode)("hub", table, TABLES));
    await hub.write(before);
    const key = engine === "postgres" ? `'{"id": "1"}'` : `'{"id": 1}'`;
    const history = engine === "postgres" ? "tombolo.conflict_history" : "tombolo_conflict_history";
    await hub.write(
      `insert into ${history} (detected_at, table_name, key, kind, policy, resolution, reason, result_row, child_node) values ('2026-01-31T12:00:00.000Z', 'item', ${key}, 'check', 'parent_wins', 'parent', 'test', '{}', 'store')`,
    );
    const [record] = (await hub.node.conflicts.list({ limit: 1 })) as [ConflictRecord];
    return { hub, record };
  }

  test("are read as Postgres reads them", async () => {
    const { hub, record } = await conflictAt("postgres");
    const given = {
      big: "9223372036854775807",
      price: "12.5",
      ratio: "1e10",
      photo: "\\x2722",
      attrs: '{"b": [1]}',
      at: "2026-06-01 12:00+02",
      ok: "yes",
      code: "x",
      tags: '{"a b"}',
      note: "it's",
    };
    await hub.node.conflicts.resolve(record, { set: given }, BY);
    expect(await hub.rows("select big, price, ratio, photo, attrs, at at time zone 'utc', ok, code, tags, note from item")).toEqual([
      ["9223372036854775807", "12.5000", "10000000000", "\\x2722", '{"b": [1]}', "2026-06-01 10:00:00", "t", "x    ", '{"a b"}', "it's"],
    ]);
    const [again] = (await hub.node.conflicts.list({ limit: 1 })) as [ConflictRecord];
    for (const [name, value] of Object.entries({
      big: "9223372036854775808",
      price: "x",
      photo: "\\x0",
      attrs: "{",
      at: "soon",
      ok: "perhaps",
    })) {
      const refused = hub.node.conflicts.resolve(again, { set: { note: "kept", [name]: value } }, BY);
      await expect(refused).rejects.toMatchObject({ code: "CONFLICT_REFUSED", message: expect.stringContaining(`for ${name} `) });
      await expect(refused).rejects.not.toMatchObject({ message: expect.stringContaining(value) });
    }
    await expect(hub.node.conflicts.resolve(again, { set: { code: "too long" } }, BY)).rejects.toMatchObject({ code: "CONFLICT_REFUSED" });
    expect(await hub.rows("select note, code from item")).toEqual([["it's", "x    "]]);
  });

  test("become what the column of SQLite makes of them", async () => {
    const { hub, record } = await conflictAt("sqlite");
    const given = { big: "9223372036854775807", price: "12.50", ratio: "1e10", photo: "\\x2722", attrs: '{"b": 1}', ok: "1", note: "7" };
    await hub.node.conflicts.resolve(record, { set: given }, BY);
    expect(
      await hub.rows("select quote(big), quote(price), quote(ratio), quote(photo), quote(attrs), quote(ok), quote(note) from item"),
    ).toEqual([["9223372036854775807", "'12.50'", "10000000000.0", "X'2722'", `'{"b": 1}'`, "1", "'7'"]]);
    const [again] = (await hub.node.conflicts.list({ limit: 1 })) as [ConflictRecord];
    for (const [name, value] of Object.entries({ big: "many", ratio: "much" })) {
      const refused = hub.node.conflicts.resolve(again, { set: { [name]: value } }, BY);
      await expect(refused).rejects.toMatchObject({ code: "CONFLICT_REFUSED", message: expect.stringContaining(`for ${name} `) });
      await expect(refused).rejects.not.toMatchObject({ message: expect.stringContaining(value) });
    }
  });

  test("do not differ from what a column's affinity has made of them", async () => {
    const { hub, record } = await conflictAt("sqlite");
    const left = (row: string): Promise<void> => hub.write(`update tombolo_conflict_history set result_row = '${row}'`);
    const look = async (): Promise<ConflictRecord> => ((await hub.node.conflicts.list({ limit: 1 })) as [ConflictRecord])[0];
    await left('{"big": "9007199254740993", "ratio": "0.1", "note": "", "ok": 1.0}');
    await hub.node.conflicts.resolve(record, { set: { note: "same" } }, BY);
    await left('{"big": 9007199254740992, "note": "same"}');
    await expect(hub.node.conflicts.resolve(await look(), { set: { note: "x" } }, BY)).rejects.toMatchObject({
      message: expect.stringContaining("in big"),
    });
  });

  test("take after what a column without a type has held", async () => {
    const table = "create table item (id integer primary key, whole, real, text, bytes, made datetime)";
    const { hub, record } = await conflictAt("sqlite", table, "insert into item values (1, 5, 1.5, 'x', x'00', '2026-01-31')");
    await hub.node.conflicts.resolve(
      record,
      { set: { whole: "9007199254740993", real: "2", text: "5", bytes: "\\x01", made: "2026-02-01" } },
      BY,
    );
    expect(await hub.rows("select quote(whole), quote(real), quote(text), quote(bytes), quote(made) from item")).toEqual([
      ["9007199254740993", "2.0", "'5'", "X'01'", "'2026-02-01'"],
    ]);
  });
});

test("three levels: what is decided in the middle goes up and down", async () => {
  const TABLE = "create table item (id integer primary key, note text)";
  const [hub, region, till, other] = await Promise.all([
    postgresNode("hub", TABLE, TABLES).then(keep),
    sqliteNode("region", TABLE, TABLES).then(keep),
    sqliteNode("till", TABLE, TABLES).then(keep),
    postgresNode("other", TABLE, TABLES).then(keep),
  ]);
  const links = [testLink(region.node, till.node, TABLES), testLink(hub.node, region.node, TABLES), testLink(hub.node, other.node, TABLES)];
  const settle = async (): Promise<void> => {
    for (let round = 0; round < 4; round++) for (const link of links) await link.settle();
  };
  await hub.write("insert into item values (1, 'base')");
  await settle();
  await till.write("update item set note = 'till' where id = 1");
  await region.write("update item set note = 'region' where id = 1");
  await settle();
  const [record] = (await region.node.conflicts.list({ limit: 2 })) as [ConflictRecord];
  expect(record).toMatchObject({ childNode: "till", resolution: "parent" });
  expect(await hub.node.conflicts.list({ limit: 2 })).toEqual([]);
  await region.node.conflicts.resolve(record, { take: "child" }, BY);
  await settle();
  for (const node of [hub, region, till, other]) expect(await node.rows("select note from item")).toEqual([["till"]]);
});

test.each(["postgres", "sqlite"] as const)("the history is never captured: %s refuses tables of Tombolo's own", async (engine) => {
  const node = await place(engine, "hub");
  const name = engine === "postgres" ? "tombolo.conflict_history" : "tombolo_conflict_history";
  const [table] = wanted([{ name }], engine);
  const { findings } = await node.node.installation.plan([{ ...(table as WantedTable), local: name }]);
  expect(findings.filter(({ severity }) => severity === "error")).toMatchObject([
    { severity: "error", code: engine === "postgres" ? "TABLE_OF_SYSTEM" : "TABLE_RESERVED" },
  ]);
});
