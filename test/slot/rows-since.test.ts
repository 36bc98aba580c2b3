import pg from "pg";
import { afterEach, expect, test } from "vitest";
import type { Staged } from "../../replicator/node/full-copy.ts";
import { until } from "../helpers/command.ts";
import { postgresNode } from "../helpers/nodes.ts";

const TABLES = [{ name: "product" }];

const close: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const one of close.splice(0).reverse()) await one();
});

const textOf = async (rows: AsyncIterable<Buffer>): Promise<string[]> => {
  const pieces: Buffer[] = [];
  for await (const piece of rows) pieces.push(piece);
  return Buffer.concat(pieces).toString().split("\n").filter(Boolean).sort();
};

test("rows that the slot had yet to log when a full sync took its snapshot are read anew all the same", async () => {
  const node = await postgresNode("hub", "create table product (id bigint primary key, name text)", TABLES, { capture: "slot" });
  close.push(() => node.close());
  const holder = new pg.Client({ connectionString: node.database.url });
  await holder.connect();
  close.push(() => holder.end());
  await node.write("insert into product select i, 'old' from generate_series(1, 3) as i");
  const { copies, log } = node.node;
  await log.tick();
  const copied = (await log.shapes(["product" as never])).map((shape) => ({ shape, rows: null }));
  const first = await copies.open(copied);
  await first.close();

  const mark = async (): Promise<number> => Number((await holder.query("select mark from tombolo.slot_mark")).rows[0]?.mark);
  await holder.query("begin; lock table tombolo.change in exclusive mode");
  await node.write(
    "update product set name = 'new' where id = 2; delete from product where id = 3; insert into product values (4, 'made')",
  );
  const before = await mark();
  const opening = copies.open(copied);
  // the snapshot has been taken, and whoever did waits for the log
  await until("the log is waited for", async () => (await mark()) > before);
  await holder.query("commit");
  const second = await opening;
  const whole: Pick<Staged, "upTo" | "done"> = { upTo: null, done: true };
  try {
    const changed = await second.changed(copied[0] as (typeof copied)[number], first.tick.position, whole);
    expect(changed).not.toBeNull();
    if (changed === null) return;
    expect(await textOf(changed.keys())).toEqual(["2", "3", "4"]);
    expect(await textOf(changed.rows())).toEqual(["2\tnew", "4\tmade"]);
  } finally {
    await second.close();
  }
});
