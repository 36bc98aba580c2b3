import { afterEach, describe, expect, test } from "vitest";
import { nodeName, tableName } from "../../replicator/change/names.ts";
import type { ConflictFilter, ConflictRecord, DecidedBy } from "../../replicator/node/conflict-desk.ts";
import { postgresNode, sqliteNode, type TestNode, type TestTable, testLink, wanted } from "../helpers/nodes.ts";

const TABLES: TestTable[] = [{ name: "shop.orders" }];
const COLUMNS =
  "customer text not null, qty integer default 1, note text, constraint short check (length(customer) < 20), unique (customer)";
const SCHEMA = {
  postgres: `create schema shop; create table shop.orders (id bigint primary key, ${COLUMNS})`,
  sqlite: `create table orders (id integer primary key, ${COLUMNS})`,
};

type Engine = keyof typeof SCHEMA;

/** A node with names that work on its engine. */
interface Place extends TestNode {
  /** The statement with `orders` and `history` as this engine names them. */
  do(sql: string): Promise<void>;
  get(sql: string): Promise<(string | null)[][]>;
}

const open: TestNode[] = [];
afterEach(async () => {
  for (const node of open.splice(0)) await node.close();
});

async function place(engine: Engine, name: string, tables: readonly TestTable[] = TABLES, schema = SCHEMA): Promise<Place> {
  const node = engine === "postgres" ? await postgresNode(name, schema.postgres, tables) : await sqliteNode(name, schema.sqlite, tables);
  open.push(node);
  const local = (sql: string): string =>
    engine === "postgres"
      ? sql
          .replaceAll(/(?<!\.)\borders\b/g, "shop.orders")
          .replaceAll(/\bhistory\b/g, "tombolo.conflict_history")
          .replaceAll(/\baudit\b/g, "tombolo.audit")
      : sql.replaceAll(/\bhistory\b/g, "tombolo_conflict_history").replaceAll(/\baudit\b/g, "tombolo_audit");
  return { ...node, do: (sql) => node.write(local(sql)), get: (sql) => node.rows(local(sql)) };
}

const ALL = "select id, customer, qty, note from orders order by id";

/** A hub with two children, of one engine each, that hold the same three rows. */
async function family(
  engine: Engine,
  tables: readonly TestTable[] = TABLES,
): Promise<{ hub: Place; a: Place; b: Place; settle(): Promise<void>; all(): Promise<(string | null)[][]> }> {
  const hub = await place(engine, "hub", tables);
  const a = await place("sqlite", "a", tables);
  const b = await place("postgres", "b", tables);
  await hub.do("insert into orders values (1, 'ann', 1, 'base'), (2, 'bob', 2, 'base'), (3, 'cyd', 3, 'base')");
  const links = [a, b].map((child) => testLink(hub.node, child.node, tables));
  const settle = async (): Promise<void> => {
    for (let round = 0; round < 3; round++) for (const link of links) await link.settle();
  };
  await settle();
  const all = async (): Promise<(string | null)[][]> => {
    const rows = await hub.get(ALL);
    expect(await a.get(ALL)).toEqual(rows);
    expect(await b.get(ALL)).toEqual(rows);
    return rows;
  };
  return { hub, a, b, settle, all };
}

const ANN: DecidedBy = { who: "ann", force: false };
const FORCED: DecidedBy = { who: "ann", force: true };

async function only(node: Place): Promise<ConflictRecord> {
  const records = await node.node.conflicts.list({ limit: 10 });
  expect(records).toHaveLength(1);
  return records[0] as ConflictRecord;
}

describe.each(["postgres", "sqlite"] as const)("at a %s parent", (engine) => {
  /** Both sides change the note of row 1, and the child the quantity too; the parent's note stays. */
  async function contested(): Promise<Awaited<ReturnType<typeof family>> & { record: ConflictRecord }> {
    const nodes = await family(engine);
    await nodes.a.do("update orders set note = 'from a', qty = 7 where id = 1");
    await nodes.hub.do("update orders set note = 'from hub' where id = 1");
    await nodes.settle();
    return { ...nodes, record: await only(nodes.hub) };
  }

  test("a decision for the child takes its contested columns, and replicates everywhere", async () => {
    const { hub, record, settle, all } = await contested();
    expect(record).toMatchObject({
      kind: "update_update",
      columns: ["note"],
      childNode: "a",
      resolution: "parent",
      status: "resolved",
      resolvedBy: "policy",
    });
    const decided = await hub.node.conflicts.resolve(record, { take: "child" }, ANN);
    expect(decided).toMatchObject({
      status: "resolved",
      resolution: "child",
      resolvedBy: "ann",
      reason: "ann decided for the child's note.",
    });
    await settle();
    expect(await all()).toEqual([
      ["1", "ann", "7", "from a"],
      ["2", "bob", "2", "base"],
      ["3", "cyd", "3", "base"],
    ]);
    expect((await hub.get("select who, what from audit")).flat()).toEqual(["ann", "conflict resolved"]);
    const [[details = ""] = []] = await hub.get("select details from audit");
    expect(JSON.parse(details ?? "")).toMatchObject({
      conflict: String(record.id),
      columns: ["note"],
      before: { resolution: "parent", resolved_by: "policy" },
    });
    expect(details).not.toContain("from a");
  });

  test("what the policy leaves to a person waits, with the parent's row on all sides, until someone decides", async () => {
    const { hub, a, b, settle, all } = await family(engine, [{ name: "shop.orders", policy: "manual" }]);
    await a.do(
      "update orders set note = 'from a', qty = 7 where id = 1; delete from orders where id = 2; insert into orders values (9, 'new', 1, 'a')",
    );
    await hub.do("update orders set note = 'from hub' where id < 3; insert into orders values (9, 'other', 2, null)");
    await settle();
    const meanwhile = [
      ["1", "ann", "7", "from hub"],
      ["2", "bob", "2", "from hub"],
      ["3", "cyd", "3", "base"],
      ["9", "other", "2", null],
    ];
    expect(await all()).toEqual(meanwhile);
    const status = await hub.node.installation.status();
    expect(status.openConflicts).toBe(3);
    expect(status.peers.map(({ name, openConflicts }) => [name, openConflicts])).toEqual([
      ["a", 3],
      ["b", 0],
    ]);
    const waiting = await hub.node.conflicts.list({ open: true, limit: 10 });
    const of = (kind: string): ConflictRecord => waiting.find((record) => record.kind === kind) as ConflictRecord;
    expect(of("update_update")).toMatchObject({
      status: "open",
      resolution: "open",
      columns: ["note"],
      resolvedBy: null,
      resolvedAt: null,
    });
    await hub.node.conflicts.resolve(of("update_update"), { take: "parent" }, ANN);
    await hub.node.conflicts.resolve(of("update_delete"), { take: "child" }, ANN);
    await hub.node.conflicts.resolve(of("insert_insert"), { take: "child" }, ANN);
    await settle();
    expect(await all()).toEqual([
      ["1", "ann", "7", "from hub"],
      ["3", "cyd", "3", "base"],
      ["9", "new", "1", "a"],
    ]);
    expect((await hub.node.installation.status()).openConflicts).toBe(0);
    expect(await b.node.conflicts.list({ limit: 1 })).toEqual([]);
  });

  test("a decision for the base, and one with values, change what they name; each may be decided again", async () => {
    const { hub, record, settle, all } = await contested();
    const based = await hub.node.conflicts.resolve(record, { take: "base" }, ANN);
    await settle();
    expect((await all())[0]).toEqual(["1", "ann", "7", "base"]);
    const given = await hub.node.conflicts.resolve(based, { set: { note: "neither's", qty: "12" } }, { who: "bob", force: false });
    expect(given).toMatchObject({ resolution: "values", resolvedBy: "bob", reason: "bob gave note, qty." });
    await settle();
    expect((await all())[0]).toEqual(["1", "ann", "12", "neither's"]);
    const nothing = await hub.node.conflicts.resolve(given, { set: { note: null } }, ANN);
    await settle();
    expect((await all())[0]).toEqual(["1", "ann", "12", null]);
    await hub.node.conflicts.resolve(nothing, { take: "parent" }, ANN);
    await settle();
    expect((await all())[0]).toEqual(["1", "ann", "12", "from hub"]);
  });

  test("a row that has changed since is left alone, with the columns named; --force decides all the same", async () => {
    const { hub, record, settle, all } = await contested();
    await hub.do("update orders set qty = 70, customer = 'anna' where id = 1");
    await expect(hub.node.conflicts.resolve(record, { take: "child" }, ANN)).rejects.toMatchObject({
      code: "CONFLICT_ROW_CHANGED",
      kind: "operator",
      message: expect.stringContaining("has changed since in customer, qty"),
    });
    expect(await only(hub)).toEqual(record);
    expect(await hub.get("select * from audit")).toEqual([]);
    const decided = await hub.node.conflicts.resolve(record, { take: "child" }, FORCED);
    expect(decided.reason).toBe("ann decided for the child's note, although the row had changed since (customer, qty).");
    await settle();
    expect((await all())[0]).toEqual(["1", "anna", "70", "from a"]);
    await hub.do("delete from orders where id = 1");
    await expect(hub.node.conflicts.resolve(decided, { take: "parent" }, ANN)).rejects.toMatchObject({
      message: expect.stringContaining("is gone"),
    });
    // the whole row comes back, as the version that was taken had it
    const brought = await hub.node.conflicts.resolve(decided, { take: "parent" }, FORCED);
    expect(brought.reason).toBe("ann decided for the parent's note, although the row had come or gone since.");
    await settle();
    expect((await all())[0]?.slice(0, 2)).toEqual(["1", "ann"]);
  });

  test("two who decide at once: one does, the other is told", async () => {
    const { hub, record, settle, all } = await contested();
    const both = await Promise.allSettled([
      hub.node.conflicts.resolve(record, { take: "child" }, ANN),
      hub.node.conflicts.resolve(record, { take: "base" }, { who: "bob", force: true }),
    ]);
    expect(both.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    const rejected = both.find((each): each is PromiseRejectedResult => each.status === "rejected");
    expect(rejected?.reason).toMatchObject({ code: "CONFLICT_DECIDED", kind: "operator" });
    await settle();
    const winner = (await only(hub)).resolvedBy;
    expect((await all())[0]?.[3]).toBe(winner === "ann" ? "from a" : "base");
  });

  test("what the database refuses is told with the constraint's name, and nothing is done", async () => {
    const { hub, record, all } = await contested();
    const refused = async (set: { [column: string]: string | null }, what: RegExp): Promise<void> => {
      const refusal = hub.node.conflicts.resolve(record, { set }, ANN);
      await expect(refusal).rejects.toMatchObject({ code: "CONFLICT_REFUSED", kind: "operator", message: expect.stringMatching(what) });
      await expect(refusal).rejects.not.toMatchObject({ message: expect.stringContaining("canary") });
    };
    await refused({ customer: "canary whose name is far too long" }, /short/);
    await refused({ customer: "bob" }, /customer/);
    await refused({ customer: null }, /customer/);
    await refused({ note: "kept", qty: "canary" }, /qty/);
    expect(await only(hub)).toEqual(record);
    expect(await hub.get("select * from audit")).toEqual([]);
    expect((await all())[0]).toEqual(["1", "ann", "7", "from hub"]);
  });

  test("what the database would refuse only at the commit is told as well", async () => {
    const { hub, record } = await contested();
    const reference = `parent_id ${engine === "postgres" ? "bigint" : "integer"} references orders deferrable initially deferred`;
    await hub.do(`alter table orders add column ${reference}`);
    await hub.node.installation.apply(wanted(TABLES, engine));
    await expect(hub.node.conflicts.resolve(record, { set: { parent_id: "99" } }, ANN)).rejects.toMatchObject({
      code: "CONFLICT_REFUSED",
      message: expect.stringMatching(/foreign key|23503/i),
    });
    expect(await hub.get("select parent_id from orders where id = 1")).toEqual([[null]]);
    expect((await hub.node.conflicts.resolve(record, { set: { parent_id: "2" } }, ANN)).result).toMatchObject({
      parent_id: engine === "postgres" ? "2" : { i: "2" },
    });
  });

  test("columns that cannot be set, and records that are not there, are refused by name", async () => {
    const { hub, record } = await contested();
    for (const column of ["id", "nothing"]) {
      const refusal = hub.node.conflicts.resolve(record, { set: { [column]: "9" } }, ANN);
      await expect(refusal).rejects.toMatchObject({ code: "CONFLICT_COLUMN", kind: "usage", message: expect.stringContaining(column) });
    }
    await expect(hub.node.conflicts.resolve({ ...record, id: 99n }, { take: "child" }, ANN)).rejects.toMatchObject({
      code: "CONFLICT_UNKNOWN",
      kind: "usage",
    });
    expect(await hub.node.conflicts.show(99n)).toBeNull();
  });

  test("a decision that leaves the row as it is still sends it to the child", async () => {
    const { hub, a, record, settle, all } = await contested();
    // written past the capture, as a restored copy would be
    await a.write(
      "update tombolo_local set skip = 1; update orders set note = 'astray', qty = 99 where id = 1; update tombolo_local set skip = 0",
    );
    await settle();
    expect(await a.get("select note from orders where id = 1")).toEqual([["astray"]]);
    await hub.node.conflicts.resolve(record, { take: "parent" }, ANN);
    await settle();
    expect((await all())[0]).toEqual(["1", "ann", "7", "from hub"]);
  });

  test("rows that one side deleted are deleted, kept or brought back", async () => {
    const { hub, a, settle, all } = await family(engine);
    await a.do("delete from orders where id = 1; update orders set note = 'from a' where id = 2");
    await hub.do("update orders set note = 'from hub' where id = 1; delete from orders where id = 2");
    await settle();
    expect((await all()).map(([id]) => id)).toEqual(["1", "3"]);
    const records = await hub.node.conflicts.list({ limit: 10 });
    const [updateDelete, deleteUpdate] = ["update_delete", "delete_update"].map((kind) =>
      records.find((record) => record.kind === kind),
    ) as [ConflictRecord, ConflictRecord];
    const deleted = await hub.node.conflicts.resolve(updateDelete, { take: "child" }, ANN);
    expect(deleted).toMatchObject({ result: null, resolution: "child" });
    const brought = await hub.node.conflicts.resolve(deleteUpdate, { take: "child" }, ANN);
    await settle();
    expect(await all()).toEqual([
      ["2", "bob", "2", "from a"],
      ["3", "cyd", "3", "base"],
    ]);
    await hub.node.conflicts.resolve(deleted, { set: { note: "again" } }, ANN);
    await hub.node.conflicts.resolve(brought, { take: "parent" }, ANN);
    await settle();
    expect(await all()).toEqual([
      ["1", "ann", "1", "again"],
      ["3", "cyd", "3", "base"],
    ]);
  });

  test("of two rows under one key, either as a whole, or none", async () => {
    const { hub, a, settle, all } = await family(engine);
    await a.do("insert into orders values (9, 'from a', null, 'a')");
    await hub.do("insert into orders values (9, 'from hub', 4, null)");
    await settle();
    const record = await only(hub);
    expect(record).toMatchObject({ kind: "insert_insert", columns: null, base: null });
    const childs = await hub.node.conflicts.resolve(record, { take: "child" }, ANN);
    await settle();
    expect((await all())[3]).toEqual(["9", "from a", null, "a"]);
    const none = await hub.node.conflicts.resolve(childs, { take: "base" }, ANN);
    await settle();
    expect(await all()).toHaveLength(3);
    await hub.do("insert into orders values (9, 'later', 1, null)");
    await expect(hub.node.conflicts.resolve(none, { take: "parent" }, ANN)).rejects.toMatchObject({
      message: expect.stringContaining("is there again"),
    });
  });

  test("what the history holds of a row creates none unless it is whole; what is missing may be given", async () => {
    const { hub, settle, all } = await family(engine);
    const row = (text: string): string => (engine === "postgres" ? `'${text.replaceAll(/: (\d+)/g, ': "$1"')}'` : `'${text}'`);
    await hub.do(`delete from orders where id = 2; insert into history (detected_at, table_name, key, kind, policy, resolution, reason, child_row, base_row, child_node)
      values ('2026-01-31T12:00:00.000Z', 'shop.orders', ${row('{"id": 2}')}, 'delete_update', 'parent_wins', 'parent', 'test', ${row('{"id": 2, "note": "new"}')}, ${row('{"id": 2, "note": "old"}')}, 'a')`);
    const record = await only(hub);
    await expect(hub.node.conflicts.resolve(record, { take: "child" }, ANN)).rejects.toMatchObject({
      code: "CONFLICT_INCOMPLETE",
      kind: "operator",
      message: expect.stringContaining("customer, qty"),
    });
    await hub.node.conflicts.resolve(record, { set: { customer: "bob", qty: "5" } }, ANN);
    await settle();
    expect((await all())[1]).toEqual(["2", "bob", "5", "new"]);
  });

  test("the history is listed newest first, filtered, and in pages", async () => {
    const { hub, record } = await contested();
    await hub.do(`insert into history (detected_at, table_name, key, kind, policy, resolution, reason, child_node, status)
      values ('2026-01-31T12:00:00.000Z', 'shop.other', '{}', 'insert_insert', 'manual', 'open', 'test', 'b', 'open')`);
    const { conflicts } = hub.node;
    const ids = async (filter: Partial<ConflictFilter>): Promise<bigint[]> =>
      (await conflicts.list({ limit: 10, ...filter })).map(({ id }) => id);
    const next = record.id + 1n;
    expect(await ids({})).toEqual([next, record.id]);
    expect(await ids({ limit: 1 })).toEqual([next]);
    expect(await ids({ before: next })).toEqual([record.id]);
    expect(await ids({ open: true })).toEqual([next]);
    expect(await ids({ table: tableName("shop.orders") })).toEqual([record.id]);
    expect(await ids({ childNode: nodeName("b") })).toEqual([next]);
    expect(await ids({ kind: "update_update" })).toEqual([record.id]);
    expect(await ids({ since: "2026-01-31T12:00:00Z" })).toEqual([next, record.id]);
    expect(await ids({ until: "2026-01-31T13:00:00+01:00" })).toEqual([]);
    expect(await ids({ until: "2026-01-31T12:00:00.001Z" })).toEqual([next]);
    expect(await ids({ since: record.detectedAt })).toEqual([record.id]);
    expect(await ids({ until: record.detectedAt })).toEqual([next]);
  });

  test("a conflict is shown with its row; one whose table is not there any more, without", async () => {
    const { hub, record } = await contested();
    const shown = await hub.node.conflicts.show(record.id);
    expect(shown).toMatchObject({ record, now: { note: "from hub" }, unreadable: null });
    await hub.do("delete from orders where id = 1");
    expect(await hub.node.conflicts.show(record.id)).toMatchObject({ now: null, unreadable: null });
    await hub.do("drop table orders");
    expect(await hub.node.conflicts.show(record.id)).toMatchObject({ record, now: null, unreadable: { kind: "operator" } });
    await expect(hub.node.conflicts.resolve(record, { take: "child" }, ANN)).rejects.toMatchObject({ kind: "operator" });
  });

  test("what was resolved long ago is forgotten, a little at a time; what is open stays", async () => {
    const { hub } = await family(engine);
    const old = "'2026-01-01T00:00:00.000Z'";
    const insert = "insert into history (detected_at, table_name, key, kind, policy, resolution, reason, child_node, status, resolved_at)";
    const rows = (status: string, resolvedAt: string): string =>
      `${insert} with recursive n (i) as (values (1) union all select i + 1 from n where i < 1200) select ${old}, 't', '{}', 'check', 'p', 'parent', 'r', 'a', '${status}', ${resolvedAt} from n`;
    const typed = (text: string): string =>
      engine === "postgres"
        ? text.replaceAll(old, `${old}::timestamptz`).replace("'{}'", "'{}'::jsonb").replaceAll("null from", "null::timestamptz from")
        : text;
    await hub.do(typed(rows("resolved", old)));
    await hub.do(
      `${typed(rows("open", "null"))}; ${insert} values ('2026-01-01T00:00:00.000Z', 't', '{}', 'check', 'p', 'parent', 'late', 'a', 'resolved', '2026-03-01T00:00:00.000Z')`,
    );
    const keepMs = Date.now() - Date.parse("2026-02-01T00:00:00Z");
    const forgotten: number[] = [];
    for (let count = -1; count !== 0; forgotten.push(count)) count = await hub.node.conflicts.forget(keepMs);
    expect(forgotten.length).toBeGreaterThan(2);
    expect(forgotten.reduce((sum, count) => sum + count)).toBe(1200);
    expect(await hub.get("select status, count(*) from history group by status order by status")).toEqual([
      ["open", "1200"],
      ["resolved", "1"],
    ]);
  });
});
