import { expect, test, vi } from "vitest";
import { channelName, nodeName, packetNumber } from "../../replicator/change/names.ts";
import { openPostgresNode } from "../../replicator/node/postgres/open.ts";
import { openSqliteNode } from "../../replicator/node/sqlite/open.ts";
import { CAPTURE, type TestNode, testLink } from "../helpers/nodes.ts";
import { both, closeAfterEach, nodeOf } from "../helpers/pair.ts";
import { withClient } from "../helpers/postgres.ts";
import { copyOf } from "../helpers/put-in-place.ts";

const SCHEMA = both("create table product (id bigint primary key, name text)");
const TABLES = [{ name: "product" }];
/** What a restore takes back. */
const OF_A_DAY = ["public.product", "tombolo.change", "tombolo.tick", "tombolo.peer", "tombolo.peer_table"];

const insert = (id: number): string => `insert into product values (${id}, 'row')`;

closeAfterEach();

/** A SQLite child, and its link. */
async function childOf(parent: TestNode, name: string): Promise<{ readonly child: TestNode; readonly link: ReturnType<typeof testLink> }> {
  const child = await nodeOf("sqlite", name, SCHEMA, TABLES);
  return { child, link: testLink(parent.node, child.node, TABLES) };
}

/** Answers what puts the database back to where it is now, without a connection that breaks, as when a virtual machine is. */
async function copied(node: TestNode): Promise<() => Promise<void>> {
  if (node.node.engine === "sqlite") {
    const { path } = node as TestNode & { readonly path: string };
    const old = await copyOf(path, `${path}.old`);
    return async () => void (await copyOf(old, path));
  }
  const { superUrl } = (node as TestNode & { readonly database: { readonly superUrl: string } }).database;
  const asSuperuser = (sql: string): Promise<void> => withClient(superUrl, async (client) => void (await client.query(sql)));
  const kept = (table: string): string => `kept.${table.split(".")[1]}`;
  await asSuperuser(`create schema kept; ${OF_A_DAY.map((table) => `create table ${kept(table)} as table ${table}`).join("; ")}`);
  const back = OF_A_DAY.map((table) => `insert into ${table} overriding system value select * from ${kept(table)}`);
  return () =>
    asSuperuser(
      `begin; set local session_replication_role = replica; ${[...OF_A_DAY]
        .reverse()
        .map((table) => `delete from ${table}`)
        .join("; ")}; ${back.join("; ")}; delete from tombolo.change where xid = pg_current_xact_id();
       select setval(pg_get_serial_sequence('tombolo.tick', 'position'), max(position)) from tombolo.tick; commit`,
    );
}

test.each([
  ["postgres", "parent"],
  ["postgres", "child"],
  ["sqlite", "parent"],
  ["sqlite", "child"],
] as const)(
  "what the other end of a link has received of a %s %s that is put back meanwhile is not noted as acknowledged: it would hide that",
  async (engine, role) => {
    const subject = await nodeOf(engine, role === "parent" ? "hub" : "store", SCHEMA, TABLES);
    const other = await nodeOf("sqlite", role === "parent" ? "store" : "hub", SCHEMA, TABLES);
    const [parent, child] = role === "parent" ? [subject, other] : [other, subject];
    const link = testLink(parent.node, child.node, TABLES);
    await subject.write(insert(1));
    await link.settle();
    const back = await copied(subject);
    await subject.write(insert(2));
    const { log } = subject.node;
    const acknowledge = log.acknowledge.bind(log);
    let isBack = false;
    vi.spyOn(log, "acknowledge").mockImplementation(async (...told) => {
      if (!isBack && (await other.rows("select id from product")).length === 2) {
        isBack = true;
        await back();
      }
      await acknowledge(...told);
    });
    await expect(link.settle()).rejects.toMatchObject({ code: "NODE_REWOUND", kind: "operator" });
    // a process that begins later finds it out as well
    await subject.write(insert(3));
    await expect(testLink(parent.node, child.node, TABLES).settle()).rejects.toMatchObject({ code: "NODE_REWOUND", kind: "operator" });
  },
);

test.each(["postgres", "sqlite"] as const)("a %s notes what was read of the log that it has, and of no other", async (engine) => {
  const node = await nodeOf(engine, "hub", SCHEMA, TABLES);
  const peer = await nodeOf("sqlite", "store", SCHEMA, TABLES);
  await node.write(insert(1));
  await testLink(node.node, peer.node, TABLES).settle();
  const { position, sealedAs } = await node.node.log.tick();
  const noted = (read: { position: typeof position; sealedAs?: string | undefined }): Promise<void> =>
    node.node.log.acknowledge(nodeName("store"), [channelName("all")], position, packetNumber(1), { read: read as never });
  await noted({ position, sealedAs });
  await noted({ position: (position - 1n) as typeof position, sealedAs: "purged" });
  const refused = expect.objectContaining({ code: "DATABASE_PUT_BACK", kind: "retry" });
  await expect(noted({ position, sealedAs: "another" })).rejects.toEqual(refused);
  await expect(noted({ position: (position + 1n) as typeof position, sealedAs })).rejects.toEqual(refused);
});

test.each(["postgres", "sqlite"] as const)(
  "a %s parent that is put back to a copy while it is in use is found out by every child that has more, also by one that was idle meanwhile",
  async (engine) => {
    const parent = await nodeOf(engine, "hub", SCHEMA, TABLES);
    const [{ link }, { link: idleLink }] = [await childOf(parent, "busy"), await childOf(parent, "idle")];
    await link.settle();
    await idleLink.settle();
    const back = await copied(parent);
    await parent.write(insert(1));
    await idleLink.settle();
    await back();
    // others move on from the copy, past where the idle one is
    for (let id = 10; id < 40; id++) {
      await parent.write(insert(id));
      await link.settle();
    }
    await expect(idleLink.settle()).rejects.toMatchObject({ code: "NODE_REWOUND", kind: "operator" });
  },
);

/** Somebody else's process reads the log, as a command does: ticks that this one knows nothing of. */
async function readElsewhere(node: TestNode, times: number): Promise<void> {
  const other =
    node.node.engine === "sqlite"
      ? await openSqliteNode({ name: node.node.name, path: (node as TestNode & { readonly path: string }).path })
      : await openPostgresNode({
          name: node.node.name,
          url: (node as TestNode & { readonly database: { readonly url: string } }).database.url,
          capture: CAPTURE,
        });
  try {
    for (let time = 0; time < times; time++) {
      await node.write(insert(100 + time));
      await other.log.tick();
    }
  } finally {
    await other.close();
  }
}

test.each(["postgres", "sqlite"] as const)(
  "what was read of a %s's log before it was put back is given to nobody, though it has gone on past where it was; and who has it is found out",
  async (engine) => {
    const parent = await nodeOf(engine, "hub", SCHEMA, TABLES);
    const [ahead, behind] = [await childOf(parent, "ahead"), await childOf(parent, "behind")];
    // each reads on: what one has read is kept for the other
    for (const id of [1, 2]) {
      await parent.write(insert(id));
      await ahead.link.settle();
      await behind.link.settle();
    }
    const back = await copied(parent);
    await parent.write(insert(3));
    await ahead.link.settle();
    await back();
    await readElsewhere(parent, 3);
    await behind.link.settle();
    expect(await behind.child.rows("select id from product order by id")).toEqual(await parent.rows("select id from product order by id"));
    await expect(ahead.link.settle()).rejects.toMatchObject({ code: "NODE_REWOUND", kind: "operator" });
  },
);
