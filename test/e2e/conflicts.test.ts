import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterEach, describe, expect, test } from "vitest";
import { type Finished, type Started, start, tombolo, until } from "../helpers/command.ts";
import { openShop, type Shop } from "../helpers/shop.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const each of cleanups.splice(0).reverse()) await each();
});

const CANARY = "canary-4711";

/** A shop in which row 1 was changed on both sides; the hub's stands until a person decides. */
async function contestedShop(): Promise<Shop & { command(...args: string[]): Promise<Finished> }> {
  const shop = await openShop({ stores: ["store-1", "store-2"], conflict: "manual" });
  cleanups.push(() => shop.close());
  const command = (...args: string[]): Promise<Finished> => tombolo(["-c", shop.file, ...args], shop.env);
  expect((await command("apply", "--yes")).code).toBe(0);
  await shop.hub.query("insert into shop.orders values (1, 'base', 1), (2, 'other', 2)");
  expect((await command("sync")).code).toBe(0);
  await shop.hub.query(`update shop.orders set note = 'hub ${CANARY}' where id = 1`);
  shop.store("store-1").exec(`update orders set note = 'store ${CANARY}' where id = 1`);
  expect((await command("sync")).stdout).toContain("store-1: 1 sent, 1 received, 0 conflicts resolved, 1 left open\n");
  return { ...shop, command };
}

function run(shop: Shop): Started {
  const replicator = start(["-c", shop.file, "run", "--log-format", "json", "--log-level", "trace"], shop.env);
  cleanups.push(async () => {
    if (replicator.process.exitCode === null && replicator.process.signalCode === null) await replicator.stop("SIGKILL");
  });
  return replicator;
}

describe("conflicts", { timeout: 60_000 }, () => {
  test("that wait are listed with exit 3, shown side by side, and decided while the replicator runs", async () => {
    const shop = await contestedShop();
    const listed = await shop.command("conflicts", "list", "--open");
    expect([listed.code, listed.stderr]).toEqual([3, ""]);
    const [head, line, ...rest] = listed.stdout.trimEnd().split("\n");
    expect(head?.split(/\s+/)).toEqual(["NODE", "ID", "DETECTED", "TABLE", "KEY", "KIND", "CHILD", "RESOLUTION", "STATUS"]);
    expect(line).toMatch(/^hub +1 +\d{4}-\d\d-\d\dT\S+Z +shop\.orders +1 +update_update +store-1 +open +open$/);
    expect(rest).toEqual([]);
    const status = JSON.parse((await shop.command("status", "--json")).stdout);
    expect(status).toMatchObject({
      nodes: [{ name: "hub", conflicts_open: 1 }, { conflicts_open: 0 }, {}],
      links: [
        { child: "store-1", conflicts_open: 1 },
        { child: "store-2", conflicts_open: 0 },
      ],
    });

    const shown = await shop.command("conflicts", "show", "1");
    expect(shown.code).toBe(0);
    expect(shown.stdout).toMatch(/^conflict hub\/1: update_update in shop\.orders, key 1$/m);
    expect(shown.stdout).toMatch(/^ +contested +note$/m);
    expect(shown.stdout).toMatch(/^ {2}COLUMN +BASE +PARENT +CHILD +RESULT +NOW$/m);
    expect(shown.stdout).toMatch(/^\* note +base +hub canary-4711 +store canary-4711 +hub canary-4711 +hub canary-4711$/m);
    expect(shown.stdout).toMatch(/^ {2}qty +1 +1 +1 +1 +1$/m);
    expect(shown.stderr).toContain("tombolo conflicts resolve hub/1 --take");

    const replicator = run(shop);
    await until("ready", async () => (await fetch(`${shop.url}/readyz`)).status === 200);
    const decided = await shop.command("conflicts", "resolve", "1", "--take", "child", "--by", "ann");
    expect(decided).toEqual({ code: 0, stdout: "hub/1: ann decided for the child's note.\n", stderr: "" });
    const everywhere = `1:store ${CANARY} 2:other`;
    await until("the decision is everywhere", async () =>
      [await shop.hubRows(), shop.storeRows("store-1"), shop.storeRows("store-2")].every((rows) => rows === everywhere),
    );
    await until("no conflict is open", async () =>
      /^tombolo_conflicts_open\{node="hub"\} 0$/m.test(await (await fetch(`${shop.url}/metrics`)).text()),
    );
    expect(await shop.command("conflicts", "list", "--open")).toEqual({ code: 0, stdout: "no conflicts\n", stderr: "" });

    const again = await shop.command("conflicts", "resolve", "hub/1", "--set", "note=neither", "--set", "qty=5", "--json");
    expect(again.code).toBe(0);
    expect(again.stderr).toMatch(/^before, ann had decided: child, \S+Z\n$/);
    expect(JSON.parse(again.stdout)).toMatchObject({
      conflict: {
        node: "hub",
        id: "1",
        status: "resolved",
        resolution: "values",
        resolved_by: expect.stringMatching(/./),
        columns: ["note"],
        result_row: { id: "1", note: "neither", qty: "5" },
      },
    });
    await until(
      "the other decision is everywhere",
      () => shop.storeRows("store-1") === "1:neither 2:other" && shop.storeRows("store-2") === "1:neither 2:other",
    );
    await replicator.stop();
    expect(replicator.stderr()).not.toContain(CANARY);
    expect(replicator.stderr()).not.toContain("neither");
  });

  test("whose row has changed since are refused with the row as it is now, unless forced", async () => {
    const shop = await contestedShop();
    await shop.hub.query("update shop.orders set qty = 9 where id = 1");
    const refused = await shop.command("conflicts", "resolve", "1", "--take", "child");
    expect(refused.code).toBe(1);
    expect(refused.stdout).toMatch(/^ {2}COLUMN +RESULT +NOW$/m);
    expect(refused.stdout).toMatch(/^\* qty +1 +9$/m);
    expect(refused.stderr).toMatch(/has changed since in qty \(CONFLICT_ROW_CHANGED\)/);
    const json = await shop.command("conflicts", "resolve", "1", "--take", "child", "--json");
    expect([json.code, JSON.parse(json.stdout)]).toEqual([
      1,
      expect.objectContaining({
        error: expect.objectContaining({ code: "CONFLICT_ROW_CHANGED" }),
        now: { id: "1", note: `hub ${CANARY}`, qty: "9" },
        now_error: null,
      }),
    ]);
    expect((await shop.command("conflicts", "resolve", "1", "--take", "child", "--force")).code).toBe(0);
    expect(await shop.hubRows()).toBe(`1:store ${CANARY} 2:other`);
    await shop.hub.query("alter table shop.orders add constraint short check (length(note) < 50)");
    const long = await shop.command("conflicts", "resolve", "1", "--set", `note=${CANARY.repeat(9)}`);
    expect([long.code, long.stdout]).toEqual([1, ""]);
    expect(long.stderr).toContain("constraint short");
    expect(long.stderr).not.toContain(CANARY);
  });

  test("are found in pages, and by what they are about", async () => {
    const shop = await contestedShop();
    await shop.hub.query(`insert into tombolo.conflict_history (detected_at, table_name, key, kind, policy, resolution, reason, child_node, resolved_at)
      select now() - n * interval '1 day', 'shop.other', jsonb_build_object('id', n::text), 'unique', 'parent_wins', 'parent', 'test', 'store-2', now() from generate_series(1, 4) n`);
    const list = async (...args: string[]) => JSON.parse((await shop.command("conflicts", "list", "--json", ...args)).stdout);
    const ids = async (...args: string[]) => (await list(...args)).conflicts.map(({ id }: { id: string }) => id);
    expect(await ids()).toEqual(["5", "4", "3", "2", "1"]);
    const first = await list("--limit", "2");
    expect([first.conflicts.map(({ id }: { id: string }) => id), first.next]).toEqual([["5", "4"], ["hub/4"]]);
    const second = await list("--limit", "3", "--before", "hub/4");
    expect([second.conflicts.map(({ id }: { id: string }) => id), second.next]).toEqual([["3", "2", "1"], null]);
    expect((await shop.command("conflicts", "list", "--limit", "2")).stderr).toBe("there are more: --before hub/4\n");
    expect(await ids("--table", "shop.orders")).toEqual(["1"]);
    expect(await ids("--node", "store-2")).toEqual(["5", "4", "3", "2"]);
    expect(await ids("--node", "hub", "--kind", "update_update")).toEqual(["1"]);
    expect(await ids("--since", "36h")).toEqual(["2", "1"]);
    expect(await ids("--until", "36h")).toEqual(["5", "4", "3"]);
    expect((await shop.command("conflicts", "show", "99")).code).toBe(2);
  });

  test("resolved long ago are forgotten by a replicator that runs", async () => {
    const shop = await contestedShop();
    const insert =
      "insert into tombolo.conflict_history (detected_at, table_name, key, kind, policy, resolution, reason, child_node, status, resolved_at)";
    await shop.hub.query(
      `${insert} select now() - interval '91 days', 't', '{}', 'check', 'p', 'parent', 'old', 'store-1', s, case s when 'resolved' then now() - interval '91 days' end from unnest('{open,resolved}'::text[]) s`,
    );
    const left = async () =>
      (await shop.hub.query<{ id: string }>("select id from tombolo.conflict_history where reason = 'old'")).rows.length;
    expect((await shop.command("sync")).code).toBe(0);
    expect(await left()).toBe(2);
    run(shop);
    await until("the one that was resolved is gone", async () => (await left()) === 1);
  });
});

test("conflicts of several nodes are told apart; one that is away keeps none of the others from being seen", {
  timeout: 60_000,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), "tombolo-tree-"));
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
  const names = ["hub", "region", "till"];
  const databases = new Map(names.map((name) => [name, new Database(join(folder, `${name}.db`), { timeout: 5_000 })]));
  const write = (name: string, sql: string) => databases.get(name)?.exec(sql);
  for (const name of names) write(name, "create table item (id integer primary key, note text)");
  const file = join(folder, "topology.yaml");
  writeFileSync(
    file,
    `version: 1
name: tree
nodes:
${names.map((name) => `  - { name: ${name}, type: sqlite, path: ./${name}.db }`).join("\n")}
channels:
  - { name: all, tables: [item] }
links:
  - { parent: hub, child: region, channels: [all] }
  - { parent: region, child: till, channels: [all] }
`,
  );
  const command = (...args: string[]): Promise<Finished> => tombolo(["-c", file, ...args]);
  expect((await command("apply", "--yes")).code).toBe(0);
  write("hub", "insert into item values (1, 'base'), (2, 'base')");
  expect((await command("sync")).code).toBe(0);
  write("till", "update item set note = 'till' where id = 1");
  write("region", "update item set note = 'region'");
  write("hub", "update item set note = 'hub' where id = 2");
  expect((await command("sync")).code).toBe(0);
  const listed = JSON.parse((await command("conflicts", "list", "--json")).stdout).conflicts as {
    node: string;
    id: string;
    child: string;
  }[];
  expect(listed.map(({ node, id, child }) => `${node}/${id} ${child}`).sort()).toEqual(["hub/1 region", "region/1 till"]);

  const ambiguous = await command("conflicts", "show", "1");
  expect([ambiguous.code, ambiguous.stderr]).toEqual([
    2,
    expect.stringContaining("hub and region each have a conflict 1 (CONFLICT_AMBIGUOUS)"),
  ]);
  expect((await command("conflicts", "show", "region/1")).stdout).toMatch(/^conflict region\/1: .* key 1$/m);
  expect((await command("conflicts", "resolve", "1", "--take", "child")).code).toBe(2);
  expect((await command("conflicts", "resolve", "1", "--node", "region", "--take", "child")).code).toBe(0);
  expect((await command("sync")).code).toBe(0);
  for (const name of names)
    expect(databases.get(name)?.prepare("select note from item order by id").pluck().all()).toEqual(["till", "hub"]);

  for (const database of databases.values()) database.close();
  // a leaf decides nothing: without it the list is whole
  renameSync(join(folder, "till.db"), join(folder, "till.away"));
  expect(await command("conflicts", "list")).toMatchObject({ code: 0, stderr: expect.stringContaining("till: there is no database file") });
  expect(await command("conflicts", "list", "--open")).toEqual({ code: 0, stdout: "no conflicts\n", stderr: "" });
  renameSync(join(folder, "region.db"), join(folder, "region.away"));
  const partly = await command("conflicts", "list");
  expect([partly.code, partly.stdout]).toEqual([4, expect.stringMatching(/^hub +1 /m)]);
  expect(partly.stderr).toContain("region: there is no database file");
  // whether the one that is away has a conflict of this number, too, nobody knows
  const uncertain = await command("conflicts", "resolve", "1", "--take", "child");
  expect([uncertain.code, uncertain.stderr]).toEqual([
    2,
    expect.stringContaining("region cannot be asked whether it has a conflict 1 as well"),
  ]);
  expect((await command("conflicts", "resolve", "hub/1", "--take", "child")).code).toBe(0);
});
