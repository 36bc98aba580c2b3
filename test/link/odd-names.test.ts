import { afterEach, expect, test } from "vitest";
import { postgresNode, type TestNode, testLink } from "../helpers/nodes.ts";

const open: TestNode[] = [];
afterEach(async () => {
  for (const node of open.splice(0)) await node.close();
});

test("columns may be called as our statements call whole rows", async () => {
  const letters = [..."abcdefghijklmnopqrstuvwxyz", "old", "new", "key", "op", "ord", "old_rows", "new_rows"];
  const ddl = `create table public.item (id bigint primary key, ${letters.map((name) => `"${name}" text`).join(", ")})`;
  const tables = [{ name: "item", policy: "newest_wins" } as const];
  const hub = await postgresNode("hub", ddl, tables);
  open.push(hub);
  const store = await postgresNode("store", ddl, tables);
  open.push(store);
  await hub.write("insert into public.item (id, r) values (1, 'a'), (2, 'b'); update public.item set t = 'c', r = 'd' where id = 1");
  await store.write("insert into public.item (id, r) values (2, 'mine'), (3, 'new')");
  const link = testLink(hub.node, store.node, tables);
  await link.settle();
  await hub.write("update public.item set t = 'hub', x = 'x' where id = 1; update public.item set id = id + 10");
  await store.write("update public.item set t = 'store', k = 'k' where id = 1");
  await link.settle();
  const all = "select * from public.item order by id";
  expect(await store.rows(all)).toEqual(await hub.rows(all));
  // the store's edit of row 1 is newer than its deletion
  expect((await hub.rows("select id from public.item order by id")).flat()).toEqual(["1", "11", "12", "13"]);
});
