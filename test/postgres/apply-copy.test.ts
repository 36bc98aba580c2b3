import { afterEach, expect, test } from "vitest";
import { FEWEST_TO_COPY } from "../../replicator/node/postgres/copy-in.ts";
import { postgresNode, type TestNode, type TestTable, testLink } from "../helpers/nodes.ts";

const TABLES: TestTable[] = [{ name: "item" }];
const SCHEMA = "create table public.item (id bigint primary key, code text, note text, at timestamptz, data bytea)";
const ALL = "select id, code, note, at, data from public.item order by id";
const MANY = FEWEST_TO_COPY * 3;
const insert = (from: number, to: number, note = "'note'"): string =>
  `insert into public.item select i, 'code ' || i, ${note}, '2026-03-29 01:30:00+00'::timestamptz + i * interval '1 hour', sha256(i::text::bytea)
     from generate_series(${from}, ${to}) as i`;

const open: TestNode[] = [];
afterEach(async () => {
  for (const node of open.splice(0)) await node.close();
});

async function pair(direction: "both" | "down", childSchema = SCHEMA) {
  const hub = await postgresNode("hub", SCHEMA, TABLES);
  const child = await postgresNode("child", childSchema, TABLES);
  open.push(hub, child);
  const link = testLink(hub.node, child.node, TABLES, { direction });
  await link.settle();
  return { hub, child, link };
}

test("many inserts arrive with every character and every null that they hold", async () => {
  const { hub, child, link } = await pair("both");
  const notes = String.raw`(array[null, '', '\N', '\.', E'tab\tline\nreturn\r', 'a "quoted" {list}', 'back\slash', E'\\t', 'ünï 😀', 'null', ' x '])[1 + i % 11]`;
  await hub.write(insert(1, MANY, notes));
  expect(await link.settle()).toMatchObject({ received: MANY, conflicts: 0, parked: 0 });
  expect(await child.rows(ALL)).toEqual(await hub.rows(ALL));
  expect(await link.settle()).toMatchObject({ sent: 0, received: 0 });
});

test("a row that is there already does not keep the others out, and ends as the parent's", async () => {
  const { hub, child, link } = await pair("down");
  await child.write("insert into public.item values (250, 'own', 'own', now(), null)");
  await hub.write(insert(1, MANY));
  expect(await link.settle()).toMatchObject({ received: MANY, parked: 0 });
  expect(await child.rows(ALL)).toEqual(await hub.rows(ALL));
});

test("a row that the child's own rules refuse is parked, and only it", async () => {
  const { hub, child, link } = await pair("down", SCHEMA.replace("code text", "code text unique"));
  await child.write("insert into public.item values (-1, 'code 250', null, null, null)");
  await hub.write(insert(1, MANY));
  expect(await link.settle()).toMatchObject({ received: MANY - 1, parked: 1 });
  expect(await child.rows(ALL.replace("order", "where id > 0 order"))).toEqual(
    await hub.rows(ALL.replace("order", "where id <> 250 order")),
  );
});

test("an insert of the parent's does not bring back, among many, a row that was deleted here and not judged", async () => {
  const { hub, child, link } = await pair("both");
  await hub.write(insert(1, MANY));
  await link.settle();
  await child.write("delete from public.item where id = 7");
  await hub.write(`delete from public.item where id = 7; ${insert(MANY + 1, 2 * MANY)}; ${insert(7, 7, "'again'")}`);
  await link.settle();
  expect(await child.rows(ALL)).toEqual(await hub.rows(ALL));
});
