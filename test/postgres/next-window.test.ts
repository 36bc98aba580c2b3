import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Change } from "../../replicator/change/change.ts";
import { nodeName, type Position, tableName } from "../../replicator/change/names.ts";
import type { Node } from "../../replicator/node/node.ts";
import { openPostgresNode } from "../../replicator/node/postgres/open.ts";
import { postgresNode } from "../helpers/nodes.ts";
import { random } from "../helpers/random.ts";

const READER = nodeName("reader");
const EVENT = tableName("event");

let hub: Awaited<ReturnType<typeof postgresNode>>;
let clients: pg.Client[] = [];
beforeAll(async () => {
  hub = await postgresNode("hub", "create table public.event (id bigint primary key, body text)", [{ name: "event" }], {
    capture: "trigger",
  });
  await hub.node.target.meet([{ name: READER, role: "child" }]);
  clients = await Promise.all(
    [1, 2, 3].map(async () => {
      const client = new pg.Client({ connectionString: hub.database.url });
      await client.connect();
      return client;
    }),
  );
});
afterAll(async () => {
  await Promise.all(clients.map((client) => client.end()));
  await hub?.close();
});

const opened = (): Promise<Node> => openPostgresNode({ name: nodeName("hub"), url: hub.database.url });

async function read({ log }: Node, after: Position, upTo: Position, maxRows = 1000): Promise<Change[]> {
  const changes: Change[] = [];
  const request = { reader: READER, tables: [EVENT], after, upTo, maxRows, maxBytes: 1 << 20 };
  for await (const group of log.read(request)) {
    expect(group.length).toBeLessThanOrEqual(maxRows);
    changes.push(...group);
  }
  return changes;
}

test("what is read together with a tick is what is read after it, whatever is open, and however much it is", {
  timeout: 60_000,
}, async () => {
  const { int, chance } = random(4);
  let id = 0;
  let after = (await hub.node.log.tick()).position;
  const open = new Set<pg.Client>();
  for (let round = 0; round < 60; round++) {
    for (const client of clients) {
      if (chance(0.4)) continue;
      if (!open.has(client)) await client.query("begin");
      open.add(client);
      const rows = chance(0.15) ? 60 : int(4);
      if (rows > 0) await client.query(`insert into public.event select ${id} + n, 'x' from generate_series(1, ${rows}) n`);
      id += rows;
      if (chance(0.3)) continue;
      await client.query(chance(0.8) ? "commit" : "rollback");
      open.delete(client);
    }
    // another process seals a tick in between
    if (chance(0.1)) {
      const other = await opened();
      await other.log.tick();
      await other.close();
    }
    const tick = await hub.node.log.tick({ lagging: chance(0.5), after });
    const foreseen = await read(hub.node, after, tick.position, chance(0.2) ? 2 : 1000);
    // for the second time it is not foreseen
    expect(await read(hub.node, after, tick.position)).toEqual(foreseen);
    after = tick.position;
  }
  await Promise.all(clients.map((client) => client.query("commit")));
});

test("a window that was foreseen is given only to who asks for just that", async () => {
  const { log } = hub.node;
  const first = (await log.tick()).position;
  await read(hub.node, first, first);
  await hub.write("insert into public.event values (-1, 'one')");
  const second = (await log.tick({ after: first })).position;
  expect((await read(hub.node, first, second)).map(({ key }) => key)).toEqual(['{"id": "-1"}']);
  await hub.write("insert into public.event values (-2, 'two')");
  const third = (await log.tick({ after: second })).position;
  // from further back
  expect((await read(hub.node, first, third)).map(({ key }) => key)).toEqual(['{"id": "-1"}', '{"id": "-2"}']);
  expect((await read(hub.node, second, third)).map(({ key }) => key)).toEqual(['{"id": "-2"}']);
});
