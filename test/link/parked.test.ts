import { describe, expect, test } from "vitest";
import { nodeName } from "../../replicator/change/names.ts";
import { type Row, rowText } from "../../replicator/change/value.ts";
import { testLink } from "../helpers/nodes.ts";
import { both, closeAfterEach, type Engine, nodeOf, type Pair, pairOf, parkedAt, type Schema } from "../helpers/pair.ts";

closeAfterEach();

const ENGINES: readonly (readonly [Engine, Engine])[] = [
  ["postgres", "sqlite"],
  ["sqlite", "sqlite"],
  ["postgres", "postgres"],
  ["sqlite", "postgres"],
];
const TABLES = [{ name: "purchase" }, { name: "customer" }];
const CHILD = both(
  "create table customer (id bigint primary key, email text, name text); create table purchase (id bigint primary key, customer bigint, note text)",
);
const PARENT = both(`create table customer (id bigint primary key, email text constraint one_email unique, name text);
  create table purchase (id bigint primary key, customer bigint references customer, note text)`);
const EVERYTHING = ["select * from customer order by id", "select * from purchase order by id"];

const STORE = nodeName("store");
const HUB = nodeName("hub");

/** Rows as plain text, whatever the engine holds them as. */
const plain = (row: Row | null): unknown =>
  row &&
  Object.fromEntries(
    Object.entries(row).map(([name, value]) => [name, value !== null && typeof value === "object" ? Object.values(value)[0] : value]),
  );

/** A customer of the child's with the e-mail of another of the parent's, and a purchase of hers. */
async function refusedPair(engines: readonly [Engine, Engine]): Promise<Pair> {
  const pair = await pairOf(engines, PARENT, TABLES, { childSchema: CHILD });
  await pair.parent.write("insert into customer values (1, 'ann@x', 'ann')");
  await pair.settle();
  await pair.child.write("insert into customer values (2, 'ann@x', 'loser'); insert into purchase values (20, 2, 'hers')");
  expect(await pair.settle()).toMatchObject({ parked: 2 });
  return pair;
}

describe.each(ENGINES)("a %s parent, a %s child", (above, below) => {
  const engines = [above, below] as const;

  test("the desk shows what was refused, the rows at both ends, and which row is in the way or missing", async () => {
    const { parent, child } = await refusedPair(engines);
    const desk = parent.node.parked;
    const [customer, purchase] = [...(await desk.list({ limit: 10 }))].sort((a, b) => (a.table < b.table ? -1 : 1));
    if (customer === undefined || purchase === undefined) throw new Error("two are parked");
    expect(customer).toMatchObject({ peer: STORE, role: "child", table: "customer", op: "I", code: "UNIQUE_VIOLATION", old: null });
    expect(plain(customer.new)).toEqual({ id: "2", email: "ann@x", name: "loser" });
    expect(await desk.list({ limit: 1 })).toHaveLength(1);
    expect(await desk.list({ limit: 9, table: purchase.table })).toEqual([purchase]);
    expect(await desk.list({ limit: 9, peer: HUB })).toEqual([]);

    const shown = await desk.show(customer.id);
    expect(shown?.record).toEqual(customer);
    expect([shown?.now, plain(shown?.theirs ?? null)]).toEqual([null, { id: "2", email: "ann@x", name: "loser" }]);
    expect(shown?.obstacles).toMatchObject([{ kind: "taken", columns: ["email"], parked: null }]);
    expect(plain(shown?.obstacles[0]?.row ?? null)).toEqual({ id: "1", email: "ann@x", name: "ann" });

    const missing = await desk.show(purchase.id);
    expect(missing?.obstacles).toMatchObject([{ kind: "missing", columns: ["customer"], parked: customer.id }]);
    expect(plain(missing?.obstacles[0]?.row ?? null)).toEqual({ id: "2" });
    expect(await desk.show(customer.id + 1000n)).toBe(null);

    // an update that is refused shows whole, although it only told what it changed
    await child.write("insert into customer values (3, 'cyd@x', 'cyd')");
    await testLink(parent.node, child.node, TABLES).settle();
    await child.write("update customer set email = 'ann@x' where id = 3");
    await testLink(parent.node, child.node, TABLES).settle();
    const update = (await desk.list({ limit: 10 })).find(({ op }) => op === "U");
    const whole = await desk.show(update?.id ?? 0n);
    expect(plain(whole?.theirs ?? null)).toEqual({ id: "3", email: "ann@x", name: "cyd" });
    expect(plain(whole?.now ?? null)).toEqual({ id: "3", email: "cyd@x", name: "cyd" });
    await parent.write("delete from customer where id = 3");
    expect(plain((await desk.show(update?.id ?? 0n))?.theirs ?? null)).toEqual({ id: "3", email: "ann@x", name: "cyd" });
  });

  test("discarding puts a child's change into the history with its images, and sends the child the row as it is here", async () => {
    const { parent, child, settle, parked, history, expectSame } = await refusedPair(engines);
    const desk = parent.node.parked;
    const [customer, purchase] = [...(await desk.list({ limit: 10 }))].sort((a, b) => (a.table < b.table ? -1 : 1));
    expect(await desk.discard(customer?.id ?? 0n, { who: "ann" })).toMatchObject({ record: { id: customer?.id }, wanted: [] });
    expect(await parked("parent")).toMatchObject([{ table: "purchase" }]);
    const email = "child_row ->> 'email'";
    expect(await history(`table_name, kind, resolution, status, resolved_by, parent_row, ${email}`)).toEqual([
      ["customer", "unique", "parent", "resolved", "ann", null, "ann@x"],
    ]);
    await settle();
    expect(await child.rows("select id from customer order by id")).toEqual([["1"]]);
    // what referred to it waits by itself, at the parent; the child has no foreign key
    expect(await child.rows("select id from purchase")).toEqual([["20"]]);
    await desk.discard(purchase?.id ?? 0n, { who: "ann" });
    await settle();
    expect(await parked("parent")).toEqual([]);
    for (const select of EVERYTHING) await expectSame(select);
    expect(await history("kind, child_row ->> 'note'")).toEqual([
      ["unique", null],
      ["foreign_key", "hers"],
    ]);
    const audit = above === "postgres" ? "tombolo.audit" : "tombolo_audit";
    expect(await parent.rows(`select who, what from ${audit} order by id`)).toEqual([
      ["ann", "parked discard"],
      ["ann", "parked discard"],
    ]);
    await expect(desk.discard(customer?.id ?? 0n, { who: "ann" })).rejects.toMatchObject({ code: "PARKED_UNKNOWN", kind: "usage" });
  });

  test("a discarded update and a discarded delete give the child its row back", async () => {
    const { parent, child, settle, expectSame } = await pairOf(engines, PARENT, TABLES, { childSchema: CHILD });
    await parent.write("insert into customer values (1, 'ann@x', 'ann'), (2, 'bob@x', 'bob'); insert into purchase values (10, 1, 'hers')");
    await settle();
    await child.write(
      "update customer set email = 'ann@x', name = 'bobby' where id = 2; delete from purchase where id = 10; delete from customer where id = 1",
    );
    await parent.write("insert into purchase values (11, 1, 'unseen')");
    await settle();
    const waiting = await parent.node.parked.list({ limit: 10 });
    expect(waiting.map(({ op }) => op).sort()).toEqual(["D", "U"]);
    const deleted = await parent.node.parked.show(waiting.find(({ op }) => op === "D")?.id ?? 0n);
    expect(deleted?.obstacles).toMatchObject([{ kind: "referred", columns: ["customer"] }]);
    expect(plain(deleted?.obstacles[0]?.row ?? null)).toMatchObject({ id: "11" });
    for (const { id } of waiting) await parent.node.parked.discard(id, { who: "ann" });
    await settle();
    for (const select of EVERYTHING) await expectSame(select);
    expect(await child.rows("select id, email, name from customer order by id")).toEqual([
      ["1", "ann@x", "ann"],
      ["2", "bob@x", "bob"],
    ]);
  });

  test("the child is told what waits at its parent and why, shows it in its status, and hears when it is gone", async () => {
    const { parent, child, settle } = await refusedPair(engines);
    const status = async () => (await child.node.installation.status()).peers.find(({ name }) => name === HUB);
    expect(await status()).toMatchObject({ refusedChanges: 2, parkedChanges: 0 });
    const told = (await status())?.refused ?? [];
    expect(told.map(({ code, changes, oldest }) => [code, changes, oldest.table, oldest.id])).toEqual([
      ["FOREIGN_KEY_VIOLATION", 1, "purchase", null],
      ["UNIQUE_VIOLATION", 1, "customer", null],
    ]);
    expect(told[1]?.oldest.reason).toMatch(/email/);
    const above = (await parent.node.installation.status()).peers.find(({ name }) => name === STORE);
    expect(above).toMatchObject({ refusedChanges: 0, parkedChanges: 2, refused: [] });
    expect(above?.parked.map(({ code, changes }) => [code, changes])).toEqual([
      ["FOREIGN_KEY_VIOLATION", 1],
      ["UNIQUE_VIOLATION", 1],
    ]);
    await parent.write("update customer set email = 'ann1@x' where id = 1");
    await settle();
    expect(await status()).toMatchObject({ refusedChanges: 0, refused: [] });
    expect((await parent.node.installation.status()).parkedChanges).toBe(0);
  });

  test("what is told is bounded, and counted in full", async () => {
    const { parent, child } = await refusedPair(engines);
    const refused = await parent.node.parked.refused(STORE, 1);
    expect(refused).toMatchObject({ total: 2, changes: [{ op: "I" }] });
    await child.node.parked.noteRefused(HUB, refused);
    expect((await child.node.installation.status()).peers[0]).toMatchObject({ refusedChanges: 2, refused: [{ changes: 1 }] });
    await child.node.parked.noteRefused(HUB, { total: 0, changes: [] });
    expect((await child.node.installation.status()).peers[0]).toMatchObject({ refusedChanges: 0, refused: [] });
  });

  test("a retry that a person asks for tries only what they name, by the rules of the link", async () => {
    const { parent, link, parked } = await refusedPair(engines);
    const [customer, purchase] = [...(await parent.node.parked.list({ limit: 10 }))].sort((a, b) => (a.table < b.table ? -1 : 1));
    expect(await link.retryParked({ parent: [customer?.id ?? 0n], child: [] })).toBe(0);
    expect((await parent.node.parked.show(customer?.id ?? 0n))?.record.attempts).toBe((customer?.attempts ?? 0) + 1);
    expect((await parent.node.parked.show(purchase?.id ?? 0n))?.record.attempts).toBe(purchase?.attempts);
    await parent.write("delete from customer where id = 1");
    expect(await link.retryParked({ parent: [customer?.id ?? 0n], child: [] })).toBe(1);
    expect((await parked("parent")).map(({ table }) => table)).toEqual(["purchase"]);
    expect(await link.retryParked()).toBe(1);
    expect(await parked("parent")).toEqual([]);
  });

  test("what the parent changes while a child's change waits is not lost, whoever is right in the end", async () => {
    const { parent, child, settle, parked, history, expectSame } = await pairOf(engines, PARENT, TABLES, { childSchema: CHILD });
    await parent.write("insert into customer values (1, 'ann@x', 'ann'), (2, 'bob@x', 'bob')");
    await settle();
    await child.write("update customer set email = 'ann@x' where id = 2");
    await settle();
    expect(await parked("parent")).toHaveLength(1);
    // the parent gives the row another e-mail, which reaches the child over its own; there somebody goes on from it
    await parent.write("update customer set email = 'bob2@x' where id = 2");
    await settle();
    await child.write("update customer set email = 'bob3@x', name = 'bobby' where id = 2");
    await settle();
    expect(await parked("parent")).toEqual([]);
    await expectSame("select * from customer order by id");
    expect(await parent.rows("select email, name from customer where id = 2")).toEqual([["bob3@x", "bobby"]]);
    // the refused e-mail is in the history: nobody who wrote over it had seen it
    expect(await history("child_row ->> 'email'")).toContainEqual(["ann@x"]);
  });
});

test.each(["postgres", "sqlite"] as const)(
  "a %s child's truncate waits for a person; discarding it sends the child all rows again",
  async (above) => {
    const { parent, child, settle, parked, expectSame } = await pairOf([above, "postgres"], PARENT, TABLES, { childSchema: CHILD });
    await parent.write("insert into customer values (1, 'ann@x', 'ann'), (2, 'bob@x', 'bob')");
    await settle();
    await child.write("truncate customer");
    await child.write("insert into customer values (3, 'cyd@x', 'cyd')");
    expect(await settle()).toMatchObject({ parked: 1 });
    expect(await parked("parent")).toMatchObject([{ op: "T", code: "TRUNCATE_FROM_CHILD" }]);
    const [truncate] = await parent.node.parked.list({ limit: 1 });
    expect(await parent.node.parked.show(truncate?.id ?? 0n)).toMatchObject({ now: null, theirs: null, obstacles: [] });
    await parent.node.parked.discard(truncate?.id ?? 0n, { who: "ann" });
    await settle();
    expect(await expectSame("select id from customer order by id")).toHaveLength(3);
  },
);

describe.each(["postgres", "sqlite"] as const)("at a %s child", (below) => {
  const strict: Schema = {
    postgres: `${CHILD.postgres}; alter table customer add constraint short check (length(name) < 6)`,
    sqlite:
      "create table customer (id integer primary key, email text, name text constraint short check (length(name) < 6)); create table purchase (id integer primary key, customer bigint, note text)",
  };

  test("a change of the parent's that is refused follows when the row fits, with all that came after it", async () => {
    const { parent, child, settle, parked, expectSame } = await pairOf(["postgres", below], PARENT, TABLES, { childSchema: strict });
    await parent.write("insert into customer values (1, 'ann@x', 'ann'), (2, 'bob@x', 'much too long')");
    await settle();
    expect(await parked("child")).toMatchObject([{ op: "I", code: "CHECK_VIOLATION" }]);
    await parent.write("update customer set email = 'bob2@x' where id = 2");
    await settle();
    expect(await parked("child")).toHaveLength(1);
    await parent.write("update customer set name = 'bob' where id = 2");
    await settle();
    expect(await parked("child")).toEqual([]);
    await expectSame("select * from customer order by id");
    expect(await child.rows("select email, name from customer where id = 2")).toEqual([["bob2@x", "bob"]]);
  });

  test("discarding the parent's change asks for the row as it is there", async () => {
    const { parent, child, settle, parked } = await pairOf(["postgres", below], PARENT, TABLES, { childSchema: strict });
    await parent.write("insert into customer values (1, 'ann@x', 'much too long')");
    await settle();
    const [waiting] = await child.node.parked.list({ limit: 1 });
    expect(waiting).toMatchObject({ role: "parent", peer: HUB });
    const discarded = await child.node.parked.discard(waiting?.id ?? 0n, { who: "ann" });
    expect(discarded.wanted).toMatchObject([{ table: "customer" }]);
    expect(await parkedAt(child)).toEqual([]);
    await settle();
    // it is still refused: a child does not differ from its parent because somebody gave up
    expect(await parked("child")).toMatchObject([{ code: "CHECK_VIOLATION" }]);
    await child.node.parked.discard((await child.node.parked.list({ limit: 1 }))[0]?.id ?? 0n, { who: "ann" });
    await parent.write("update customer set name = 'ann' where id = 1");
    await settle();
    expect(await parked("child")).toEqual([]);
    expect(await child.rows("select name from customer")).toEqual([["ann"]]);
  });

  test("a truncate of the parent's takes what waited of the table with it", async () => {
    const { parent, child, settle, parked } = await pairOf(["postgres", below], PARENT, TABLES, { childSchema: strict });
    await parent.write("insert into customer values (1, 'ann@x', 'much too long')");
    await settle();
    await parent.write("truncate customer cascade; insert into customer values (2, 'bob@x', 'bob')");
    await settle();
    expect(await parked("child")).toEqual([]);
    expect(await child.rows("select id from customer")).toEqual([["2"]]);
  });
});

test("in a tree, what the hub refuses is discarded there, and gone from the middle and the edge below it", async () => {
  const hub = await nodeOf("postgres", "hub", PARENT, TABLES);
  const middle = await nodeOf("postgres", "middle", CHILD, TABLES);
  const edge = await nodeOf("sqlite", "edge", CHILD, TABLES);
  const links = [testLink(middle.node, edge.node, TABLES), testLink(hub.node, middle.node, TABLES)];
  const settle = async (): Promise<void> => {
    for (let round = 0; round < 3; round++) for (const link of links) await link.settle();
  };
  await settle();
  await hub.write("insert into customer values (1, 'ann@x', 'ann')");
  await settle();
  await edge.write("insert into customer values (2, 'ann@x', 'loser')");
  await settle();
  expect(await middle.rows("select count(*) from customer")).toEqual([["2"]]);
  const [waiting] = await hub.node.parked.list({ limit: 1 });
  expect(waiting).toMatchObject({ peer: nodeName("middle"), code: "UNIQUE_VIOLATION" });
  await hub.node.parked.discard(waiting?.id ?? 0n, { who: "ann" });
  await settle();
  for (const node of [hub, middle, edge]) expect(await node.rows("select id from customer")).toEqual([["1"]]);
  expect(rowText(waiting?.new ?? {})).toContain("loser");
});
