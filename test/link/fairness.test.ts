import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { until } from "../helpers/command.ts";
import { postgresNode, sqliteNode, testLink } from "../helpers/nodes.ts";

const BACKLOG = Number(process.env.TOMBOLO_BACKLOG ?? 80_000);
const BULK = [{ name: "bulk", channel: "bulk" }];
const NOTE = [{ name: "note", channel: "note" }];
const schema = (id: string): string => `create table bulk (id ${id} primary key, body text); create table note (id ${id} primary key)`;

test("a child with a large backlog holds up no other: what is written for its neighbour is there while the backlog is still on its way", async () => {
  const hub = await postgresNode("hub", schema("int"), [...BULK, ...NOTE]);
  const busy = await sqliteNode("busy", schema("integer"), [...BULK, ...NOTE]);
  const calm = await sqliteNode("calm", schema("integer"), [...BULK, ...NOTE]);
  const stop = new AbortController();
  const links = [testLink(hub.node, busy.node, BULK), testLink(hub.node, calm.node, NOTE)];
  try {
    for (const link of links) await link.settle();
    await hub.write(`insert into bulk select i, md5(i::text) from generate_series(1, ${BACKLOG}) i`);
    const running = links.map((link) => link.run(stop.signal));
    await until("the backlog is being applied", () => isWritten(busy.path));
    await hub.write("insert into note values (1)");
    await until("the neighbour has its row", async () => (await calm.rows("select id from note")).length === 1);
    // one transaction: none of it shows before all of it is there
    expect(await busy.rows("select count(*) from bulk")).toEqual([["0"]]);
    await until("the backlog has arrived", async () => (await busy.rows("select count(*) from bulk"))[0]?.[0] === String(BACKLOG));
    stop.abort();
    await Promise.all(running);
  } finally {
    stop.abort();
    for (const node of [busy, calm, hub]) await node.close();
  }
});

/** Whether someone holds the write lock of the file. */
function isWritten(path: string): boolean {
  const other = new Database(path, { timeout: 0 });
  try {
    other.exec("begin immediate; rollback");
    return false;
  } catch (error) {
    if ((error as { code?: string }).code === "SQLITE_BUSY") return true;
    throw error;
  } finally {
    other.close();
  }
}
