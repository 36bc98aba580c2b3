import Database from "better-sqlite3";
import { afterEach, describe, expect, test, vi } from "vitest";
import { nodeName } from "../../replicator/change/names.ts";
import { beginAnew } from "../../replicator/full-sync/resync.ts";
import type { LinkObserver } from "../../replicator/link/link.ts";
import type { SyncDirection } from "../../replicator/node/full-sync-runs.ts";
import type { Node } from "../../replicator/node/node.ts";
import { openPostgresNode } from "../../replicator/node/postgres/open.ts";
import { openSqliteNode } from "../../replicator/node/sqlite/open.ts";
import { syncFully } from "../helpers/full-sync.ts";
import { silent, type TestNode, testLink, testTopology } from "../helpers/nodes.ts";
import { both, closeAfterEach, historyTable, nodeOf } from "../helpers/pair.ts";
import { withClient } from "../helpers/postgres.ts";
import { copyOf } from "../helpers/put-in-place.ts";

const SCHEMA = both("create table product (id bigint primary key, name text)");
const TABLES = [{ name: "product" }];
const ALL = "select id, name from product order by id";

closeAfterEach();
const close: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const one of close.splice(0).reverse()) await one();
});

/** Of a link whose process ends as soon as the target has the first packet: the source does not hear of it. */
const KILLED: LinkObserver = {
  ...silent,
  applied() {
    throw new Error("killed");
  },
};

async function resync(parent: Node, child: Node, direction: SyncDirection): Promise<void> {
  await beginAnew({ parent, child, ...testTopology(parent, child, TABLES) });
  const link = testLink(parent, child, TABLES);
  // nothing flows before the full sync
  expect(await link.settle()).toMatchObject({ sent: 0, received: 0 });
  await syncFully(parent, child, TABLES, { direction });
}

const insert = (id: number, name: string): string => `insert into product values (${id}, '${name}')`;

describe("a SQLite child", () => {
  const open = async (): Promise<{ parent: TestNode; child: TestNode & { path: string }; link: ReturnType<typeof testLink> }> => {
    const parent = await nodeOf("postgres", "hub", SCHEMA, TABLES);
    const child = (await nodeOf("sqlite", "store", SCHEMA, TABLES)) as TestNode & { path: string };
    const link = testLink(parent.node, child.node, TABLES);
    await parent.write(insert(1, "a"));
    await link.settle();
    return { parent, child, link };
  };
  const opened = async (path: string): Promise<Node> => {
    const node = await openSqliteNode({ name: nodeName("store"), path });
    close.push(() => node.close());
    return node;
  };
  const rowsOf = (path: string): unknown[] => {
    const database = new Database(path);
    const rows = database
      .prepare(ALL)
      .raw()
      .all()
      .map((row) => (row as unknown[]).map(String));
    database.close();
    return rows;
  };
  const write = (path: string, sql: string): void => {
    const database = new Database(path);
    database.exec(sql);
    database.close();
  };

  test("that was restored from an older copy is found out, and its edits since are not lost", async () => {
    const { parent, child, link } = await open();
    const old = await copyOf(child.path, `${child.path}.old`);
    for (let at = 10; at < 20; at++) await child.write(insert(at, "sent"));
    await link.settle();
    await parent.write(insert(2, "b"));
    await link.settle();
    // the copy is put in its place, and is written to: its log gives the numbers a second time
    for (let at = 30; at < 45; at++) write(old, insert(at, "after the restore"));
    const restored = await opened(old);
    const again = testLink(parent.node, restored, TABLES);
    await expect(again.settle()).rejects.toMatchObject({ code: "NODE_REWOUND", kind: "operator" });
    await resync(parent.node, restored, "pull");
    expect(await testLink(parent.node, restored, TABLES).settle()).toMatchObject({ sent: 15 });
    const rows = await parent.rows(ALL);
    expect(rowsOf(old)).toEqual(rows);
    expect(rows.map(([, name]) => name).filter((name) => name === "sent")).toHaveLength(10);
    expect(rows.map(([, name]) => name).filter((name) => name === "after the restore")).toHaveLength(15);
  });

  test("that was restored, and writes on past where its parent has read it, is found out though it never heard of that", async () => {
    const { parent, child } = await open();
    const old = await copyOf(child.path, `${child.path}.old`);
    for (let at = 10; at < 20; at++) await child.write(insert(at, "sent"));
    await expect(testLink(parent.node, child.node, TABLES, { observer: KILLED }).settle()).rejects.toThrow("killed");
    expect(await parent.rows(ALL)).toHaveLength(11);
    for (let at = 30; at < 45; at++) write(old, insert(at, "after the restore"));
    const restored = await opened(old);
    await expect(testLink(parent.node, restored, TABLES).settle()).rejects.toMatchObject({ code: "NODE_REWOUND", kind: "operator" });
    await resync(parent.node, restored, "pull");
    expect(await testLink(parent.node, restored, TABLES).settle()).toMatchObject({ sent: 15 });
    const rows = await parent.rows(ALL);
    expect(rowsOf(old)).toEqual(rows);
    expect(rows).toHaveLength(26);
  });

  test.each([
    ["and its one packet since is found out, before it has heard of any receipt", true],
    ["with all that its parent has read goes on, though it has heard of no receipt", false],
  ] as const)("that was restored %s", async (_, wroteMore) => {
    const { parent, child, link } = await open();
    await child.write(insert(10, "sent"));
    await link.settle();
    const old = await copyOf(child.path, `${child.path}.old`);
    write(old, "update tombolo_peer set sent = '{}', sent_packet_no = 0");
    if (wroteMore) {
      const [[packets] = []] = await parent.rows("select sent_packet_no from tombolo.peer");
      await child.write(insert(20, "sent, and lost"));
      await link.settle();
      // as where the parent had nothing to say meanwhile
      await parent.write(`update tombolo.peer set sent_packet_no = ${packets}`);
    }
    write(old, insert(30, "after the restore"));
    const restored = await opened(old);
    const again = testLink(parent.node, restored, TABLES).settle();
    if (wroteMore) await expect(again).rejects.toMatchObject({ code: "NODE_REWOUND", message: expect.stringContaining("part of its log") });
    else expect(await again).toMatchObject({ sent: 1 });
  });

  test("that was cloned: one of the two goes on, the other is found out and can come back under the same name", async () => {
    const { parent, child, link } = await open();
    const clone = await copyOf(child.path, `${child.path}.clone`);
    await child.write(insert(10, "of the original"));
    await parent.write(insert(2, "b"));
    await link.settle();
    write(clone, insert(20, "of the clone"));
    const second = await opened(clone);
    await expect(testLink(parent.node, second, TABLES).settle()).rejects.toMatchObject({ code: "NODE_REWOUND" });
    await resync(parent.node, second, "pull");
    await testLink(parent.node, second, TABLES).settle();
    expect(rowsOf(clone)).toEqual(await parent.rows(ALL));
    // from now on it is the original that is not the node it was
    await child.write(insert(11, "not the node any more"));
    await expect(link.settle()).rejects.toMatchObject({ kind: "operator" });
  });
});

// in place, it is the same database of the same cluster; elsewhere, it is another
describe.each([
  ["in place", "NODE_REWOUND"],
  ["into another database", "DATABASE_CLONED"],
])("a Postgres parent that was restored from an older copy, %s", (where, code) => {
  /** Takes a copy of the database, which becomes the parent from then on. */
  const open = async ({ sends = true } = {}): Promise<{ restored: Node; child: TestNode; rows(): Promise<unknown[]> }> => {
    const parent = (await nodeOf("postgres", "hub", SCHEMA, TABLES)) as TestNode & {
      database: { url: string; superUrl: string };
    };
    const child = await nodeOf("sqlite", "store", SCHEMA, TABLES);
    const link = testLink(parent.node, child.node, TABLES);
    await parent.write(insert(1, "a"));
    await child.write(insert(10, "sent early"));
    await link.settle();
    const name = new URL(parent.database.url).pathname.slice(1);
    const copy = `${name}_copy`;
    await parent.node.close();
    await withClient(parent.database.superUrl.replace(`/${name}`, "/postgres"), async (admin) => {
      await admin.query(`select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}'`);
      await admin.query(`create database "${copy}" template "${name}"`);
    });
    await parent.reopen();
    if (sends) await child.write(insert(11, "sent late"));
    else await withClient(parent.database.url, (client) => client.query(insert(20, "received late")));
    if (sends) await testLink(parent.node, child.node, TABLES).settle();
    else await expect(testLink(parent.node, child.node, TABLES, { observer: KILLED }).settle()).rejects.toThrow("killed");
    const url = new URL(parent.database.url);
    url.pathname = `/${copy}`;
    if (where === "in place")
      await withClient(url.href, (client) =>
        client.query("update tombolo.node set database_oid = (select oid from pg_database where datname = current_database())"),
      );
    const restored = await openPostgresNode({ name: nodeName("hub"), url: url.href });
    close.push(() =>
      withClient(parent.database.superUrl.replace(`/${name}`, "/postgres"), (admin) => admin.query(`drop database "${copy}" with (force)`)),
    );
    close.push(() => restored.close());
    return {
      restored,
      child,
      rows: async () => {
        let found: unknown[] = [];
        await withClient(url.href, async (client) => {
          found = (await client.query({ text: `select id::text, name from product order by id`, rowMode: "array" })).rows;
        });
        return found;
      },
    };
  };

  test("is found out by a child that sent nothing, though it has sealed as many ticks since as that child has received", async () => {
    const { restored, child } = await open({ sends: false });
    const other = await nodeOf("sqlite", "other", SCHEMA, TABLES);
    const settleOther = (): Promise<unknown> => testLink(restored, other.node, TABLES).settle();
    if (code === "NODE_REWOUND")
      for (let at = 30; at < 45; at++) {
        await other.write(insert(at, "another life"));
        await settleOther();
      }
    await expect(testLink(restored, child.node, TABLES).settle()).rejects.toMatchObject({ code, kind: "operator" });
    await resync(restored, child.node, "pull");
    await testLink(restored, child.node, TABLES).settle();
    if (code === "NODE_REWOUND") expect(await child.rows(ALL)).toEqual(await other.rows(ALL));
  });

  test("is found out; a push brings back what it has forgotten", async () => {
    const { restored, child, rows } = await open();
    await expect(testLink(restored, child.node, TABLES).settle()).rejects.toMatchObject({ code, kind: "operator" });
    await child.write(insert(12, "not sent yet"));
    await resync(restored, child.node, "push");
    await testLink(restored, child.node, TABLES).settle();
    expect(await rows()).toEqual(await child.rows(ALL));
    expect((await rows()).length).toBe(4);
  });

  test("a pull takes the child back to what it knows, and keeps in the history what that costs", async () => {
    const { restored, child, rows } = await open();
    await child.write(insert(12, "not sent yet"));
    await resync(restored, child.node, "pull");
    await testLink(restored, child.node, TABLES).settle();
    const kept = await rows();
    expect(await child.rows(ALL)).toEqual(kept);
    const names = kept.map((row) => (row as string[])[1]);
    expect(names).toContain("not sent yet");
    // sent again where the child's log still held it, kept in its history otherwise
    const history = await child.rows(`select child_row from ${historyTable(child)}`);
    expect(names.includes("sent late") || history.some(([row]) => row?.includes("sent late"))).toBe(true);
  });
});

test.each([
  ["postgres", "sqlite"],
  ["sqlite", "postgres"],
] as const)(
  "an acknowledgement of a %s parent and a %s child that comes when the two begin anew is of the time before",
  async (above, below) => {
    const parent = await nodeOf(above, "hub", SCHEMA, TABLES);
    const child = await nodeOf(below, "store", SCHEMA, TABLES);
    const link = testLink(parent.node, child.node, TABLES);
    await link.settle();
    await child.write(insert(10, "sent"));
    const { log } = child.node;
    const acknowledge = log.acknowledge.bind(log);
    vi.spyOn(log, "acknowledge").mockImplementationOnce(async (...told) => {
      await beginAnew({ parent: parent.node, child: child.node, ...testTopology(parent.node, child.node, TABLES) });
      await acknowledge(...told);
    });
    await link.settle();
    await syncFully(parent.node, child.node, TABLES);
    await child.write(insert(11, "afterwards"));
    await testLink(parent.node, child.node, TABLES).settle();
    expect(await child.rows(ALL)).toEqual(await parent.rows(ALL));
    expect(await parent.rows(ALL)).toHaveLength(2);
  },
);

/** What `pg_dump -n tombolo` and a restore of it do: the schema is another one, with the rows of an earlier day; the tables beside it stay as they are. */
const DUMP = `
  create schema dump;
  do $$ declare t text; begin
    for t in select relname from pg_class where relnamespace = 'tombolo'::regnamespace and relkind = 'r' and not relispartition loop
      execute format('create table dump.%1$I as table tombolo.%1$I', t);
    end loop;
  end $$`;
const RESTORE = `
  set session_replication_role = replica;
  alter schema tombolo rename to gone;
  create schema tombolo;
  do $$ declare t text; begin
    if exists (select from pg_extension where extnamespace = 'gone'::regnamespace) then alter extension hstore set schema tombolo; end if;
    for t in select oid::regclass::text from pg_class c where relnamespace = 'gone'::regnamespace and relkind in ('r', 'p', 'v', 'S')
        and not exists (select from pg_depend d where d.objid = c.oid and d.classid = 'pg_class'::regclass and d.deptype in ('a', 'i') and relkind = 'S') loop
      execute format('alter table %s set schema tombolo', t);
    end loop;
    for t in select oid::regprocedure::text from pg_proc where pronamespace = 'gone'::regnamespace loop
      execute format('alter routine %s set schema tombolo', t);
    end loop;
    for t in select relname from pg_class where relnamespace = 'dump'::regnamespace loop
      execute format('delete from tombolo.%1$I', t);
      execute format('insert into tombolo.%1$I overriding system value select * from dump.%1$I', t);
    end loop;
  end $$;
  drop schema dump cascade`;

test.each(["parent", "child"] as const)(
  "a Postgres %s whose schema tombolo alone was restored is found out, and begins anew",
  async (which) => {
    const hub = await nodeOf("postgres", "hub", SCHEMA, TABLES);
    const store = await nodeOf("postgres", "store", SCHEMA, TABLES);
    const link = testLink(hub.node, store.node, TABLES);
    const restored = which === "parent" ? hub : store;
    await hub.write(insert(1, "a"));
    await store.write(insert(10, "b"));
    await link.settle();
    await restored.write(DUMP);
    await hub.write(insert(2, "later"));
    await store.write(insert(11, "later"));
    await link.settle();
    await restored.write(RESTORE);
    await restored.reopen();
    await expect(testLink(hub.node, store.node, TABLES).settle()).rejects.toMatchObject({
      code: "DATABASE_CLONED",
      kind: "operator",
      message: expect.stringContaining("schema tombolo was restored"),
    });
    await store.write("update product set name = 'not sent yet' where id = 10");
    await resync(hub.node, store.node, "pull");
    await testLink(hub.node, store.node, TABLES).settle();
    expect(await store.rows(ALL)).toEqual(await hub.rows(ALL));
    expect((await hub.rows(ALL)).map(([, name]) => name)).toEqual(["a", "later", "not sent yet", "later"]);
  },
);

test("a node that was removed is known no longer, and holds no log", async () => {
  const parent = await nodeOf("postgres", "hub", SCHEMA, TABLES);
  const child = await nodeOf("sqlite", "store", SCHEMA, TABLES);
  await testLink(parent.node, child.node, TABLES).settle();
  expect(await parent.node.rejoin.forget(child.node.name)).toBe(true);
  expect(await parent.node.rejoin.forget(child.node.name)).toBe(false);
  expect((await parent.node.installation.status()).peers).toEqual([]);
});
