import { afterAll, expect, test } from "vitest";
import { tableName } from "../../replicator/change/names.ts";
import { postgresNode, type TestNode } from "../helpers/nodes.ts";

let hub: TestNode | undefined;
afterAll(() => hub?.close());

test("more readers than the pool has connections are filled at once without waiting for one another", { timeout: 60_000 }, async () => {
  hub = await postgresNode("hub", "create table item (id int primary key, name text); insert into item values (1, 'a')", [
    { name: "item", policy: "parent_wins" },
  ]);
  const { tables } = hub.node;
  const names = [tableName("item")];
  const ticks = await Promise.all(
    Array.from({ length: 60 }, async () => {
      const snapshot = await tables.open(names);
      try {
        return snapshot.tick.position;
      } finally {
        await snapshot.close();
      }
    }),
  );
  expect(new Set(ticks).size).toBe(60);
});
