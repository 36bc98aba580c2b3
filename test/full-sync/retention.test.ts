import { describe, expect, test, vi } from "vitest";
import { nodeName, tableName } from "../../replicator/change/names.ts";
import { beginAnew } from "../../replicator/full-sync/resync.ts";
import { LEFT_BEHIND } from "../../replicator/node/retention.ts";
import { syncFully } from "../helpers/full-sync.ts";
import { testLink, testTopology } from "../helpers/nodes.ts";
import { both, closeAfterEach, nodeOf } from "../helpers/pair.ts";

const SCHEMA = both("create table product (id bigint primary key, name text)");
const TABLES = [{ name: "product" }];
const ALL = "select id, name from product order by id";
const NO_LIMIT = { keepMs: 7 * 86_400_000, maxBytes: 10 * 2 ** 30 };

closeAfterEach();

describe.each(["postgres", "sqlite"] as const)("the log of a %s parent", (engine) => {
  /** Two children; `away: false`: one of them has never been. */
  const open = async (options: { readonly away?: boolean } = {}) => {
    const parent = await nodeOf(engine, "hub", SCHEMA, TABLES);
    const near = await nodeOf("sqlite", "near", SCHEMA, TABLES);
    const away = await nodeOf("sqlite", "away", SCHEMA, TABLES);
    const [link, away_link] = [testLink(parent.node, near.node, TABLES), testLink(parent.node, away.node, TABLES)];
    await parent.write("insert into product values (1, 'a'), (2, 'b')");
    await link.settle();
    if (options.away === false) return { parent, near, away, link, awayLink: away_link };
    await away_link.settle();
    // the one goes on, the other does not come back for now
    await away.write("update product set name = 'edited while away' where id = 2; insert into product values (90, 'new while away')");
    await parent.write("update product set name = 'changed' where id = 1; insert into product values (3, 'c')");
    await link.settle();
    // a child's edits wait for its parent as long as it takes
    return { parent, near, away, link, awayLink: away_link };
  };
  const peers = async (node: Awaited<ReturnType<typeof open>>["parent"]) =>
    Object.fromEntries((await node.node.installation.status()).peers.map(({ name, state, reason }) => [name, [state, reason]]));

  test("is held to its limits: who is further behind is marked, then what only it needed goes, and a full sync brings it back", async () => {
    const { parent, near, away, link, awayLink } = await open();
    expect(await parent.node.log.retain(NO_LIMIT)).toEqual([]);
    const before = (await parent.node.installation.status()).logRows;
    expect(await parent.node.log.retain({ ...NO_LIMIT, keepMs: -60_000 })).toEqual([{ reader: "away", limit: "log.keep" }]);
    expect(await peers(parent)).toMatchObject({ near: ["live", null], away: ["must_resync", LEFT_BEHIND] });
    expect((await parent.node.installation.status()).logRows).toBeLessThan(before);
    await link.settle();
    // what it has changed itself goes up all the same
    await expect(awayLink.settle()).rejects.toMatchObject({ code: "POSITION_UNKNOWN", kind: "operator" });
    await away.write("insert into product values (91, 'still offline')");
    await syncFully(parent.node, away.node, TABLES);
    await awayLink.settle();
    await link.settle();
    const rows = await parent.rows(ALL);
    expect(await away.rows(ALL)).toEqual(rows);
    expect(await near.rows(ALL)).toEqual(rows);
    expect(rows).toEqual([
      ["1", "changed"],
      ["2", "edited while away"],
      ["3", "c"],
      ["90", "new while away"],
      ["91", "still offline"],
    ]);
    expect(await peers(parent)).toMatchObject({ away: ["live", null] });
  });

  test("gives up the furthest where it is too large", async () => {
    const { parent, away, awayLink } = await open();
    expect(await parent.node.log.retain({ ...NO_LIMIT, maxBytes: 1 })).toEqual([{ reader: "away", limit: "log.max_size" }]);
    expect(await parent.node.log.retain({ ...NO_LIMIT, maxBytes: 1 })).toEqual([]);
    await syncFully(parent.node, away.node, TABLES);
    await awayLink.settle();
    expect(await away.rows(ALL)).toEqual(await parent.rows(ALL));
  });

  test.each(["has brought changes", "is paused and brings none"])(
    "is kept for a child that %s and is not known yet to have its first rows",
    async (how) => {
      const isPaused = how !== "has brought changes";
      const { parent, link } = await open({ away: false });
      const late = await nodeOf("sqlite", "late", SCHEMA, TABLES);
      const lateLink = testLink(parent.node, late.node, TABLES, { direction: isPaused ? "down" : "both" });
      if (!isPaused) await late.write("insert into product values (50, 'brought')");
      // cut off before the parent is told that they have come
      const told = vi.spyOn(parent.node.log, "acknowledge").mockRejectedValue(new Error("cut off"));
      await expect(lateLink.settle()).rejects.toThrow("cut off");
      told.mockRestore();
      if (isPaused) await parent.node.installation.setPaused(late.node.name, true);
      await parent.write("insert into product values (4, 'd')");
      await link.settle();
      await parent.node.log.purge();
      await parent.write("insert into product values (5, 'e')");
      await link.settle();
      await parent.node.log.purge();
      if (isPaused) await parent.node.installation.setPaused(late.node.name, false);
      await lateLink.settle();
      expect(await late.rows(ALL)).toEqual(await parent.rows(ALL));
    },
  );

  test("is not kept for a child that has acknowledged nothing and is to be filled anew", async () => {
    const { parent, link } = await open({ away: false });
    const late = await nodeOf("sqlite", "late", SCHEMA, TABLES);
    await beginAnew({ parent: parent.node, child: late.node, ...testTopology(parent.node, late.node, TABLES) });
    expect((await peers(parent)).late?.[0]).toBe("snapshot");
    await parent.write("insert into product values (4, 'd'), (5, 'e'), (6, 'f')");
    await link.settle();
    await parent.node.log.purge();
    // the newest entry of a SQLite stays
    expect((await parent.node.installation.status()).logRows).toBeLessThan(2);
    await syncFully(parent.node, late.node, TABLES);
    await testLink(parent.node, late.node, TABLES).settle();
    expect(await late.rows(ALL)).toEqual(await parent.rows(ALL));
  });

  test("is held to its limits also where a child never said that it has its first rows, or never came to them", async () => {
    const { parent, near, link } = await open({ away: false });
    await parent.node.target.meet([{ name: nodeName("late"), role: "child" }]);
    await parent.write("update product set name = 'unread' where id = 1");
    await link.settle();
    // how long it has not come to them is not known; where the log is too large, it goes before those that read
    expect(await parent.node.log.retain({ ...NO_LIMIT, keepMs: -60_000 })).toEqual([]);
    expect(await parent.node.log.retain({ ...NO_LIMIT, maxBytes: 1 })).toEqual([{ reader: "late", limit: "log.max_size" }]);
    expect(await peers(parent)).toMatchObject({ near: ["live", null], late: ["must_resync", LEFT_BEHIND] });
    await parent.node.target.meet([{ name: nodeName("later"), role: "child" }]);
    await parent.node.tables.seed(nodeName("later"), [tableName("product")]);
    expect(await parent.node.log.retain(NO_LIMIT)).toEqual([]);
    await parent.write("update product set name = 'unread, too' where id = 1");
    await link.settle();
    expect(await parent.node.log.retain({ ...NO_LIMIT, keepMs: -60_000 })).toEqual([{ reader: "later", limit: "log.keep" }]);
    expect(await peers(parent)).toMatchObject({ near: ["live", null], later: ["must_resync", LEFT_BEHIND] });
    await link.settle();
    expect(await near.rows(ALL)).toEqual(await parent.rows(ALL));
  });

  test("keeps a child's unsent changes whatever the limits, as they are nowhere else", async () => {
    const { away } = await open();
    expect(await away.node.log.retain({ keepMs: -60_000, maxBytes: 1 })).toEqual([]);
    expect((await away.node.installation.status()).peers).toMatchObject([{ name: "hub", state: "live", pendingChanges: 2 }]);
  });
});
