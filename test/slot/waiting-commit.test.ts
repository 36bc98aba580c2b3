import { afterEach, expect, test } from "vitest";
import { nodeName } from "../../replicator/change/names.ts";
import { openPostgresNode } from "../../replicator/node/postgres/open.ts";
import { until } from "../helpers/command.ts";
import { syncFully } from "../helpers/full-sync.ts";
import { sqliteNode, testLink, wanted } from "../helpers/nodes.ts";
import { durableServer, withClient } from "../helpers/postgres.ts";

const TABLES = [{ name: "product" }];
const ALL = "select id, name from product order by id";

const close: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const one of close.splice(0).reverse()) await one();
});

test.skipIf(process.platform === "win32").each(["slot", "trigger"] as const)(
  "a commit that is on disk and waits for its standby, so that nobody sees it yet, comes after a full sync that was made meanwhile [%s]",
  async (capture) => {
    const server = await durableServer();
    close.push(() => server.remove());
    const write = (sql: string): Promise<void> => withClient(server.url, async (client) => void (await client.query(sql)));
    await write("create table product (id bigint primary key, name text); insert into product values (1, 'old'), (2, 'old')");
    const hub = await openPostgresNode({ name: nodeName("hub"), url: server.url, capture });
    close.push(() => hub.close());
    await hub.installation.apply(wanted(TABLES, "postgres"));
    const store = await sqliteNode("store", "create table product (id integer primary key, name text)", TABLES);
    close.push(() => store.close());
    const link = testLink(hub, store.node, TABLES);
    await link.settle();

    await withClient(server.url, async (watcher) => {
      await watcher.query("alter system set synchronous_standby_names = 'nobody'");
      await watcher.query("select pg_reload_conf()");
      await until(
        "commits wait for a standby",
        async () => (await watcher.query("show synchronous_standby_names")).rows[0]?.synchronous_standby_names === "nobody",
      );
      const waiting = write("update product set name = 'new' where id = 2");
      let backend = 0;
      await until("it waits for its standby", async () => {
        const { rows } = await watcher.query<{ pid: number }>(
          "select pid from pg_stat_activity where wait_event = 'SyncRep' and query like 'update product%'",
        );
        backend = rows[0]?.pid ?? 0;
        return backend !== 0;
      });
      // it is let go, and does not know yet, while all others go on
      process.kill(backend, "SIGSTOP");
      try {
        await watcher.query("alter system reset synchronous_standby_names");
        await watcher.query("select pg_reload_conf()");
        await write("insert into product values (3, 'later')");
        const { rows } = await watcher.query("select name from product where id = 2");
        expect(rows).toEqual([{ name: "old" }]);
        if (capture === "slot") {
          await until("the log has it, and who comes after it", async () => {
            await hub.log.tick();
            const { rows: logged } = await watcher.query("select key::text from tombolo.change where seq > 0");
            return logged.some(({ key }) => key.includes('"2"')) && logged.some(({ key }) => key.includes('"3"'));
          });
        }
        await syncFully(hub, store.node, TABLES);
        await link.settle();
        expect(await store.rows(ALL)).toEqual([
          ["1", "old"],
          ["2", "old"],
          ["3", "later"],
        ]);
      } finally {
        process.kill(backend, "SIGCONT");
      }
      await waiting;
    });
    await link.settle();
    expect(await store.rows(ALL)).toEqual([
      ["1", "old"],
      ["2", "new"],
      ["3", "later"],
    ]);
  },
);
