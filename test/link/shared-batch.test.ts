import { afterAll, beforeAll, expect, test } from "vitest";
import type { LinkCounts } from "../../replicator/link/link.ts";
import type { Node } from "../../replicator/node/node.ts";
import { postgresNode, sqliteNode, type TestNode, testLink } from "../helpers/nodes.ts";

const TABLES = [{ name: "item" }];
const CHILDREN = 5;

let hub: TestNode;
let children: TestNode[] = [];
let links: ReturnType<typeof testLink>[] = [];

beforeAll(async () => {
  hub = await postgresNode("hub", "create table item (id int primary key, body text)", TABLES);
  children = await Promise.all(
    Array.from({ length: CHILDREN }, (_, at) => sqliteNode(`store-${at}`, "create table item (id integer primary key, body text)", TABLES)),
  );
  links = children.map((child) => testLink(hub.node, child.node, TABLES));
  await hub.write("insert into item select i, 'first' from generate_series(1, 100) i");
  // filled one after the other, each at a position of its own; then all at the same
  for (const link of links) await link.settle();
  await hub.write("insert into item values (101, 'second')");
  await settle();
});
afterAll(async () => {
  for (const node of [...children, hub]) await node?.close();
});

/** All of them, or all but some, at the same time; answers what each link moved. */
const settle = (options: { readonly without?: readonly number[] } = {}): Promise<LinkCounts[]> =>
  Promise.all(links.filter((_, at) => !options.without?.includes(at)).map((link) => link.settle()));

/** Readings of the hub's log in the time of `work`. */
async function readings(work: () => Promise<unknown>): Promise<{ made: number; spared: number }> {
  const before = hub.node.log.reads;
  await work();
  const { made, spared } = hub.node.log.reads;
  return { made: made - before.made, spared: spared - before.spared };
}

const rows = (node: TestNode): Promise<(string | null)[][]> => node.rows("select id, body from item order by id");

async function expectSame(): Promise<void> {
  const wanted = await rows(hub);
  for (const child of children) expect(await rows(child)).toEqual(wanted);
}

test("children that stand at the same position share one reading of the hub's log", async () => {
  await hub.write("update item set body = 'third' where id <= 60");
  expect(await readings(settle)).toEqual({ made: 1, spared: CHILDREN - 1 });
  await expectSame();
});

test("a child does not get back what it sent, though its neighbours share the reading in which it is", async () => {
  await children[0]?.write("update item set body = 'mine' where id <= 40");
  const [up] = await Promise.all([links[0]?.settle()]);
  expect(up).toMatchObject({ sent: 40, received: 0 });
  await hub.write("insert into item values (102, 'and one for all')");
  const moved = await settle();
  expect(moved.map(({ received }) => received)).toEqual([1, 41, 41, 41, 41]);
  await expectSame();
});

test("a verdict reaches the child that it is for, and no other", async () => {
  await hub.write("update item set body = 'the parent wins' where id = 7");
  await children[1]?.write("update item set body = 'the child loses' where id = 7");
  const moved = await settle();
  expect(moved[1]).toMatchObject({ sent: 1, conflicts: 1 });
  await settle();
  await expectSame();
});

test("children that were away for different times catch up, each from where it was", async () => {
  for (const [at, without] of [[4], [3, 4], [2, 3, 4], [2, 3], [0]].entries()) {
    await hub.write(`update item set body = 'round ${at}' where id <= ${10 * (at + 1)}`);
    await children[1]?.write(`insert into item values (${1000 + at}, 'from a child')`);
    await settle({ without });
  }
  const { made, spared } = await readings(async () => {
    await settle();
    await settle();
  });
  expect(made + spared).toBeGreaterThan(0);
  await expectSame();
});

test("one that fails in the middle of a shared reading disturbs no other", async () => {
  await hub.write("insert into item select i, repeat('x', 2000) from generate_series(2000, 7000) i");
  const child = children[3] as TestNode;
  const failing = testLink(hub.node, { ...child.node, target: failsAfterTwoParts(child.node.target) }, TABLES);
  const all = links.map((link, at) => (at === 3 ? failing : link));
  const outcomes = await Promise.allSettled(all.map((link) => link.settle()));
  expect(outcomes.map(({ status }) => status)).toEqual(all.map((link) => (link === failing ? "rejected" : "fulfilled")));
  await settle();
  await expectSame();
});

function failsAfterTwoParts(target: Node["target"]): Node["target"] {
  return {
    meet: (peers) => target.meet(peers),
    peer: (name) => target.peer(name),
    start: (...table) => target.start(...table),
    retryParked: (...changes) => target.retryParked(...changes),
    apply(packet, context) {
      async function* some() {
        let left = 2;
        for await (const part of packet.parts) {
          if (left-- === 0) throw new Error("the line is down");
          yield part;
        }
      }
      return target.apply({ ...packet, parts: some() }, context);
    },
  };
}
