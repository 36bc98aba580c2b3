import { expect, test } from "vitest";
import { nodeName, tableName } from "../../replicator/change/names.ts";
import { MANY_CHANGES } from "../../replicator/node/sqlite/suspend.ts";
import { context, HUB, packet, readAll, type TestDatabase, withDatabase } from "./database.ts";

const SCHEMA = `
  create table item (id integer primary key, name text unique);
  create table seen (id integer primary key);
  create trigger item_seen after insert on item begin insert or ignore into seen values (new.id); end;
`;
const TABLES = ["item"];

const triggers = ({ application }: TestDatabase): unknown[] =>
  application.prepare("select name, sql from sqlite_schema where type = 'trigger' and tbl_name = 'item' order by rowid").raw().all();
const inserts = (first: number, count: number) =>
  Array.from({ length: count }, (_, at) => ({
    ...{ table: 0, op: "I" as const, key: `{"id":{"i":"${first + at}"}}`, old: null },
    ...{ new: `{"id":{"i":"${first + at}"},"name":"item ${first + at}"}`, changedAt: 1_767_225_600_000_000 },
  }));

async function send({ node }: TestDatabase, number: number, changes: Parameters<typeof packet>[0]["changes"]): Promise<void> {
  const shapes = await node.log.shapes(TABLES.map(tableName));
  await node.target.apply(packet({ number, changes, shapes }), context("parent", TABLES));
}

test("a packet of many changes leaves every trigger as it was, and what the application writes next is captured", async () => {
  await withDatabase(SCHEMA, TABLES, async (database) => {
    const { node, application } = database;
    await node.target.meet([{ name: HUB, role: "parent" }]);
    const before = triggers(database);
    await send(database, 1, [inserts(1, MANY_CHANGES / 2), inserts(MANY_CHANGES / 2 + 1, MANY_CHANGES / 2)]);
    expect(application.prepare("select count(*) from item").pluck().get()).toBe(BigInt(MANY_CHANGES));
    expect(application.prepare("select count(*) from seen").pluck().get()).toBe(0n);
    expect(new Set(triggers(database).map(String))).toEqual(new Set(before.map(String)));
    // what was suspended is there as it was installed, and the youngest of its table
    expect(await node.installation.verify()).toEqual([]);
    expect(String(triggers(database)[0])).toContain("item_seen");
    application.exec("insert into item values (-1, 'ours'); update item set name = 'changed' where id = 1");
    const { changes } = await readAll(node, TABLES);
    expect(changes.map(({ op, key }) => `${op} ${key}`)).toEqual(['I {"id":{"i":"-1"}}', 'U {"id":{"i":"1"}}']);
  });
});

test("many changes that others read as well are logged for them", async () => {
  await withDatabase(SCHEMA, TABLES, async (database) => {
    const { node } = database;
    await node.target.meet([
      { name: HUB, role: "parent" },
      { name: nodeName("edge"), role: "child" },
    ]);
    await send(database, 1, [inserts(1, MANY_CHANGES)]);
    expect((await readAll(node, TABLES, { reader: "edge" })).changes).toHaveLength(MANY_CHANGES);
    expect((await readAll(node, TABLES)).changes).toEqual([]);
  });
});

test("when a packet of many changes fails, capture is there as before", async () => {
  await withDatabase(SCHEMA, TABLES, async (database) => {
    const { node, application } = database;
    await node.target.meet([{ name: HUB, role: "parent" }]);
    const before = triggers(database);
    const bad = inserts(MANY_CHANGES + 1, 1).map((change) => ({ ...change, new: "no json" }));
    await expect(send(database, 1, [inserts(1, MANY_CHANGES), bad])).rejects.toThrow();
    expect(triggers(database)).toEqual(before);
    expect(await node.installation.verify()).toEqual([]);
    application.exec("insert into item values (-1, 'ours')");
    expect((await readAll(node, TABLES)).changes).toHaveLength(1);
  });
});
