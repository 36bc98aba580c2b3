import { readFileSync, writeFileSync } from "node:fs";
import { afterEach, describe, expect, test } from "vitest";
import { type Finished, type Started, start, tombolo, until } from "../helpers/command.ts";
import { openShop, type Shop } from "../helpers/shop.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const each of cleanups.splice(0).reverse()) await each();
});

/** A shop whose hub takes each note once, and in which store-1 has written what the hub refuses. */
async function refusingShop(): Promise<Shop & { command(...args: string[]): Promise<Finished> }> {
  const shop = await openShop({ stores: ["store-1", "store-2"] });
  cleanups.push(() => shop.close());
  await shop.hub.query("alter table shop.orders add constraint one_note unique (note)");
  const command = (...args: string[]): Promise<Finished> => tombolo(["-c", shop.file, ...args], shop.env);
  expect((await command("apply", "--yes")).code).toBe(0);
  await shop.hub.query("insert into shop.orders values (1, 'taken', 1)");
  expect((await command("sync")).code).toBe(0);
  shop.store("store-1").exec("insert into orders values (2, 'taken', 2), (3, 'free', 3)");
  expect((await command("sync", "--link", "hub/store-1")).stdout).toContain("1 parked");
  return { ...shop, command };
}

function run(shop: Shop): Started {
  const replicator = start(["-c", shop.file, "run"], shop.env);
  cleanups.push(async () => {
    if (replicator.process.exitCode === null && replicator.process.signalCode === null) await replicator.stop("SIGKILL");
  });
  return replicator;
}

describe("parked changes", { timeout: 60_000 }, () => {
  test("are listed, shown with what is in the way, and discarded while the replicator runs; status tells both sides", async () => {
    const shop = await refusingShop();
    const listed = await shop.command("parked", "list");
    expect([listed.code, listed.stderr]).toEqual([0, ""]);
    const [head, line, ...rest] = listed.stdout.trimEnd().split("\n");
    expect(head?.split(/\s+/)).toEqual(["NODE", "ID", "PARKED", "OF", "TABLE", "CHANGE", "KEY", "TRIES", "CODE", "REASON"]);
    expect(line).toMatch(
      /^hub +1 +\S+Z +store-1 +shop\.orders +insert +2 +\d+ +UNIQUE_VIOLATION +unique key one_note \(note\) of shop\.orders: /,
    );
    expect(rest).toEqual([]);
    expect((await shop.command("parked", "list", "--node", "store-1")).stdout).toBe("no parked changes\n");
    expect((await shop.command("parked", "list", "--table", "shop.other")).stdout).toBe("no parked changes\n");

    const shown = await shop.command("parked", "show", "1");
    expect(shown.code).toBe(0);
    expect(shown.stdout).toMatch(/^parked change hub\/1: insert in shop\.orders, key 2$/m);
    expect(shown.stdout).toMatch(/in the way +one_note \(note\) is taken by a row of shop\.orders: id = 1, note = taken, qty = 1$/m);
    expect(shown.stdout).toMatch(/^ {2}COLUMN +BEFORE +AFTER +AT STORE-1 +AT HUB +IN THE WAY$/m);
    expect(shown.stdout).toMatch(/^. note +- +taken +taken +- +taken$/m);

    const status = await shop.command("status");
    expect(status.stdout).toMatch(
      /^hub\/store-1: 1 parked change of store-1 at hub: UNIQUE_VIOLATION since \S+Z, first insert in shop\.orders .*tombolo parked show hub\/1$/m,
    );
    expect(status.stdout).toMatch(/^store-1 has been told that one of its changes waits at its parent hub: UNIQUE_VIOLATION since /m);
    const report = JSON.parse((await shop.command("status", "--json")).stdout);
    expect(report.links).toMatchObject([
      {
        child: "store-1",
        parked_changes: 1,
        parked_at_parent: [{ code: "UNIQUE_VIOLATION", changes: 1, oldest: { id: "1", table: "shop.orders", op: "insert" } }],
        parked_at_child: [],
        refused_changes: 1,
        refused: [{ code: "UNIQUE_VIOLATION", changes: 1, oldest: { id: null, table: "shop.orders" } }],
      },
      { child: "store-2", parked_changes: 0, refused_changes: 0, refused: [] },
    ]);

    run(shop);
    await until("ready", async () => (await fetch(`${shop.url}/readyz`)).status === 200);
    const metrics = async (): Promise<string> => (await fetch(`${shop.url}/metrics`)).text();
    await until("metrics tell both sides", async () => {
      const text = await metrics();
      return [/^tombolo_parked_changes\{node="hub"\} 1$/m, /^tombolo_refused_changes\{node="store-1"\} 1$/m].every((line) =>
        line.test(text),
      );
    });
    const discarded = await shop.command("parked", "discard", "1", "--by", "ann");
    expect(discarded).toEqual({
      code: 0,
      stdout: "hub/1: discarded; it is in the conflict history, and store-1 gets the row as it is here\n",
      stderr: "",
    });
    await until("the store follows", () => shop.storeRows("store-1") === "1:taken 3:free");
    await until("nothing waits any more", async () => {
      const text = await metrics();
      return [/^tombolo_parked_changes\{node="hub"\} 0$/m, /^tombolo_refused_changes\{node="store-1"\} 0$/m].every((line) =>
        line.test(text),
      );
    });
    const conflicts = JSON.parse((await shop.command("conflicts", "list", "--json")).stdout);
    expect(conflicts.conflicts).toMatchObject([
      {
        kind: "unique",
        resolution: "parent",
        resolved_by: "ann",
        child: "store-1",
        child_row: { id: "2", note: "taken", qty: "2" },
        parent_row: null,
      },
    ]);
  });

  test("are retried on demand, and go through by themselves when what blocked them is gone", async () => {
    const shop = await refusingShop();
    const refused = await shop.command("parked", "retry");
    expect(refused.code).toBe(3);
    expect(refused.stdout).toMatch(/^hub\/1: still refused: unique key one_note \(note\) of shop\.orders: .* \(UNIQUE_VIOLATION\)\n$/);
    await shop.hub.query("delete from shop.orders where id = 1");
    const retried = await shop.command("parked", "retry", "hub/1", "--json");
    expect([retried.code, JSON.parse(retried.stdout)]).toMatchObject([0, { tried: [{ node: "hub", id: "1", went_through: true }] }]);
    expect(await shop.hubRows()).toBe("2:taken 3:free");
    expect(await shop.command("parked", "retry")).toMatchObject({ code: 0, stdout: "no parked changes\n" });

    shop.store("store-2").exec("insert into orders values (9, 'taken', 9)");
    expect((await shop.command("sync")).stdout).toContain("1 parked");
    run(shop);
    await until("ready", async () => (await fetch(`${shop.url}/readyz`)).status === 200);
    await shop.hub.query("update shop.orders set note = 'other' where id = 2");
    await until("it goes through", async () => (await shop.hubRows()) === "2:other 3:free 9:taken");
    await until("the stores agree", () => ["store-1", "store-2"].every((name) => shop.storeRows(name) === "2:other 3:free 9:taken"));
  });

  test("of one number at several nodes are told apart, and what cannot be asked is said", async () => {
    const shop = await refusingShop();
    // a change of the hub's that store-2 refuses: number 1 there
    shop.store("store-2").exec("create unique index one_qty on orders (qty); insert into orders values (77, null, 50)");
    await shop.hub.query("insert into shop.orders values (51, 'of the hub', 50)");
    expect((await shop.command("apply", "--yes")).code).toBe(0);
    await shop.command("sync", "--link", "hub/store-2");
    expect((await shop.command("parked", "list", "--node", "store-2")).stdout).toMatch(/^store-2 +1 /m);
    const ambiguous = await shop.command("parked", "show", "1");
    expect([ambiguous.code, ambiguous.stdout]).toEqual([2, ""]);
    expect(ambiguous.stderr).toContain("hub and store-2 each have a parked change 1 (PARKED_AMBIGUOUS)");
    expect((await shop.command("parked", "show", "store-2/1")).stdout).toMatch(
      /^parked change store-2\/1: insert in shop\.orders, key 51$/m,
    );
    const discarded = await shop.command("parked", "discard", "store-2/1");
    expect([discarded.code, discarded.stdout]).toEqual([0, "store-2/1: discarded; hub is asked for the row as it is there\n"]);
    const unknown = await shop.command("parked", "discard", "hub/99");
    expect(unknown.code).toBe(2);
    expect(unknown.stderr).toContain("PARKED_UNKNOWN");

    const away = `${shop.file}.away.yaml`;
    writeFileSync(away, readFileSync(shop.file, "utf8").replace("./store-2.db", "./gone.db"));
    const listed = await tombolo(["-c", away, "parked", "list"], shop.env);
    expect(listed.code).toBe(4);
    expect(listed.stdout).toContain("UNIQUE_VIOLATION");
    expect(listed.stderr).toMatch(/^store-2: .*DATABASE_MISSING/m);
    // a number alone may be that one's
    expect((await tombolo(["-c", away, "parked", "discard", "1"], shop.env)).stderr).toContain("PARKED_AMBIGUOUS");
  });
});
