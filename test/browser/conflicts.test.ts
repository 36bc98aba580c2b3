import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { until } from "../helpers/command.ts";
import { browserForFile, expectFit } from "./browser.ts";
import { type ConsoleWorld, openConsole } from "./console-world.ts";
import { type DeskWorld, deskWorld } from "./desk-world.ts";

let world: ConsoleWorld;
let desk: DeskWorld;
const browser = browserForFile();
beforeAll(async () => {
  world = await openConsole({
    prepare: async ({ hub }) => void (await hub.query("create unique index orders_note on shop.orders (note) where note like 'unique%'")),
  });
  desk = deskWorld(world);
});
afterAll(() => world?.close());

/** As another operator, who has seen the conflict as it is now. */
async function decideElsewhere(name: string, take: string): Promise<void> {
  const path = `${world.hubUrl}/v1/conflicts/${name}`;
  const headers = { authorization: `Bearer ${world.tokens.admin}` };
  const etag = (await fetch(path, { headers })).headers.get("etag") ?? "";
  const init = {
    method: "POST",
    headers: { ...headers, "if-match": etag, "content-type": "application/json" },
    body: JSON.stringify({ take }),
  };
  expect((await fetch(`${path}/resolve`, init)).status).toBe(200);
}

const statusOf = async (name: string): Promise<string> => (await world.api("GET", `/v1/conflicts/${name}`)).body.conflict.status;

describe("a conflict", () => {
  test("is shown side by side, its differences marked, and decided with one click", async () => {
    const name = await desk.conflict(1);
    const { page } = await browser.open(world, { path: "/conflicts" });
    await page.getByRole("link", { name, exact: true }).click();
    await page.getByRole("heading", { name: `Conflict ${name}` }).waitFor();
    const versions = page.getByRole("table", { name: "Versions of the row" });
    await versions.waitFor();
    expect(await versions.locator("tr.differs th code").allTextContents()).toEqual(["note", "qty"]);
    expect(await versions.locator("tr.differs ins").allTextContents()).toEqual(expect.arrayContaining(["Friday", "Lovelace "]));
    await expectFit(page, "conflict");
    await page.getByRole("button", { name: "Take the child's" }).click();
    await page.getByText("is decided: the child's").waitFor();
    await page.getByRole("heading", { name: "Decide anew" }).waitFor();
    expect(await desk.note(1)).toBe("Call Ada Lovelace on Monday.");
    await desk.settle();
  });

  test("that another operator has decided meanwhile is left alone: the page says so, and shows it as it is now", async () => {
    const name = await desk.conflict(2);
    const { page } = await browser.open(world, { path: `/conflicts/${name}` });
    const take = page.getByRole("button", { name: "Take the child's" });
    await take.waitFor();
    await decideElsewhere(name, "parent");
    await take.click();
    await page.getByText("Nothing was done.").waitFor();
    await page.getByText("ann decided this conflict meanwhile: the parent's.").waitFor();
    await page.getByText("(412)").waitFor();
    expect(await desk.note(2)).toBe("Call Ada on Friday.");
    // what is shown now is what the next click is about
    await take.click();
    await page.getByText("is decided: the child's").waitFor();
    expect(await desk.note(2)).toBe("Call Ada Lovelace on Monday.");
  });

  test("that changes while it is open does not change under one's hand, and says that it has", async () => {
    const name = await desk.conflict(3);
    const { page } = await browser.open(world, { path: `/conflicts/${name}` });
    await page.getByRole("button", { name: "Give values" }).click();
    await page.getByLabel("note").first().fill("half written");
    await decideElsewhere(name, "base");
    await page.getByText("ann has decided this conflict since you opened it.").waitFor();
    expect(await page.getByLabel("note").first().inputValue()).toBe("half written");
    await page.getByRole("button", { name: "Show it as it is now" }).click();
    await page.getByText("ann has decided this conflict since you opened it.").waitFor({ state: "detached" });
    await page.getByText("Decided by").waitFor();
  });

  test("is merged: the merge is looked at first", async () => {
    const name = await desk.conflict(4);
    const { page } = await browser.open(world, { path: `/conflicts/${name}` });
    await page.getByRole("button", { name: "Look at a merge" }).click();
    const merge = page.getByRole("region", { name: "The merge" });
    await merge.getByText("Lovelace").first().waitFor();
    expect(await desk.note(4)).toBe("Call Ada on Friday.");
    await merge.getByRole("button", { name: "Decide for the merge" }).click();
    await page.getByText("is decided: the values given").waitFor();
    expect(await desk.note(4)).toBe("Call Ada Lovelace on Friday.");
  });

  test("is decided with values of one's own; what the database refuses is told", async () => {
    const name = await desk.conflict(5);
    const { page } = await browser.open(world, { path: `/conflicts/${name}` });
    await page.getByRole("button", { name: "Give values" }).click();
    await page.getByLabel("qty").first().fill("many");
    await page.getByRole("button", { name: "Decide for these values" }).click();
    await page.getByText("CONFLICT_REFUSED").waitFor();
    await page.getByLabel("qty").first().fill("7");
    await page.getByLabel("note").first().fill("As agreed.");
    await page.getByRole("button", { name: "Look at it" }).click();
    await page.getByRole("region", { name: "What it would be" }).getByText("As agreed.").waitFor();
    await page.getByRole("button", { name: "Decide for these values" }).click();
    await page.getByText("is decided: the values given").waitFor();
    expect((await world.hub.query("select note, qty from shop.orders where id = 5")).rows).toEqual([{ note: "As agreed.", qty: 7 }]);
    await desk.settle();
  });

  test("is asked about twice where a click would delete the row", async () => {
    const name = await desk.conflict(13, "Call Ada on Friday.", null);
    const { page } = await browser.open(world, { path: `/conflicts/${name}` });
    await page.getByRole("button", { name: "Take the child's (no row)" }).click();
    await page.getByRole("button", { name: "Leave it as it is" }).click();
    expect(await desk.note(13)).toBe("Call Ada on Friday.");
    await page.getByRole("button", { name: "Take the child's (no row)" }).click();
    await page.getByRole("button", { name: "Delete the row" }).click();
    await page.getByText("is decided: the child's").waitFor();
    expect(await desk.note(13)).toBeNull();
  });

  test("a viewer sees it, and has nothing to act with", async () => {
    const name = await desk.conflict(6);
    const { page } = await browser.open(world, { role: "viewer", path: `/conflicts/${name}` });
    await page.getByRole("table", { name: "Versions of the row" }).waitFor();
    expect(await page.getByRole("button", { name: /Take|merge|values/ }).count()).toBe(0);
    await page.getByRole("link", { name: "Conflicts", exact: true }).first().click();
    await page.getByRole("link", { name }).waitFor();
    expect(await page.getByRole("checkbox").count()).toBe(0);
  });
});

describe("the list of conflicts", () => {
  test("is filtered by what the address says, which survives a reload and a look at one of them", async () => {
    const before = await desk.conflict(14);
    const name = await desk.conflict(7);
    const { page } = await browser.open(world, { path: "/conflicts" });
    await page.getByLabel("State").selectOption("all");
    await page.getByLabel("Table").selectOption("shop.orders");
    await page.getByLabel("Node or edge").fill("store-1");
    await page.getByLabel("Kind").selectOption("update_update");
    await page.waitForURL(/node=store-1/);
    expect(Object.fromEntries(new URL(page.url()).searchParams)).toEqual({
      status: "all",
      table: "shop.orders",
      node: "store-1",
      kind: "update_update",
    });
    await page.reload();
    await page.getByRole("link", { name, exact: true }).click();
    await page.getByRole("heading", { name: `Conflict ${name}` }).waitFor();
    // one after the other, and after the oldest the newest again
    const { conflicts } = (await world.api("GET", "/v1/conflicts?open=true")).body;
    const open = conflicts.map(({ node, id }: { node: string; id: string }) => `${node}/${id}`);
    expect(open.slice(0, 2)).toEqual([name, before]);
    for (const each of [...open.slice(1), name]) {
      await page.getByRole("button", { name: "Next open conflict" }).click();
      await page.getByRole("heading", { name: `Conflict ${each}`, exact: true }).waitFor();
    }
    await page.getByRole("link", { name: "Conflicts", exact: true }).first().click();
    await page.getByRole("link", { name, exact: true }).waitFor();
    expect(await page.getByLabel("Kind").inputValue()).toBe("update_update");
    expect(await page.getByLabel("Node or edge").inputValue()).toBe("store-1");
    await page.getByLabel("Kind").selectOption("insert_insert");
    await page.getByText("No conflict matches the filter.").waitFor();
    await page.getByRole("button", { name: "Clear the filter" }).click();
    await page.getByRole("link", { name, exact: true }).waitFor();
    await expectFit(page, "conflicts");
  });

  test("many are decided at once; one that somebody else has decided is left alone and named", async () => {
    const names = [await desk.conflict(8), await desk.conflict(9), await desk.conflict(10)];
    const { page } = await browser.open(world, { path: "/conflicts" });
    for (const name of names) await page.getByRole("checkbox", { name: `Select conflict ${name}`, exact: true }).check();
    await decideElsewhere(names[1]!, "parent");
    await page.getByText("Something has changed since this list was made.").waitFor();
    await page.getByRole("button", { name: "Take the child's in 3" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByText("Each of the 3 conflicts").waitFor();
    await dialog.getByRole("button", { name: "Take the child's" }).click();
    await page.getByText("2 conflicts decided: the child's.").waitFor();
    await page.getByText("1 conflict left as they are").waitFor();
    await page.getByRole("alert").getByRole("link", { name: names[1]!, exact: true }).waitFor();
    expect(await Promise.all(names.map(statusOf))).toEqual(["resolved", "resolved", "resolved"]);
    expect([await desk.note(8), await desk.note(9)]).toEqual(["Call Ada Lovelace on Monday.", "Call Ada on Friday."]);
  });

  test("follows what happens", async () => {
    const { page } = await browser.open(world, { path: "/conflicts" });
    await page.getByRole("link", { name: /hub\// }).first().waitFor();
    const name = await desk.conflict(11);
    await page.getByRole("link", { name, exact: true }).waitFor();
    await decideElsewhere(name, "parent");
    await page.getByRole("link", { name, exact: true }).waitFor({ state: "detached" });
  });
});

test("a tab that nobody looks at holds no connection, and follows again when it is looked at", async () => {
  const { page } = await browser.open(world, { path: "/conflicts" });
  await page.getByRole("link", { name: /^Conflicts \d+ waiting/ }).waitFor();
  const turn = (state: string) =>
    page.evaluate((visibility) => {
      Object.defineProperty(document, "visibilityState", { value: visibility, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    }, state);
  const isStream = (request: { url(): string }): boolean => request.url().endsWith("/v1/events");
  const left = page.waitForEvent("requestfailed", isStream);
  await turn("hidden");
  await left;
  const name = await desk.conflict(12);
  expect(await page.getByRole("link", { name, exact: true }).count()).toBe(0);
  await turn("visible");
  await page.getByRole("link", { name, exact: true }).waitFor();
});

describe("a parked change", () => {
  test("tells what is in its way, and is tried again once that is gone", async () => {
    await world.hub.query("insert into shop.orders values (100, 'unique one', 1), (101, 'unique two', 1)");
    world.store("store-1").exec("insert into orders values (200, 'unique one', 1), (201, 'unique two', 1)");
    await until("it is parked", async () => (await world.api("GET", "/v1/parked")).body.parked.length === 2);
    const { page } = await browser.open(world, { path: "/parked" });
    await page.getByRole("row").filter({ hasText: "id 200" }).getByRole("link").click();
    await page.getByText("has the value already").waitFor();
    await expectFit(page, "parked-change");
    await page.getByRole("button", { name: "Try it again" }).click();
    await page.getByText("is still refused").waitFor();
    await world.hub.query("update shop.orders set note = 'free' where id = 100");
    await page.getByRole("button", { name: "Try it again" }).click();
    await page.getByText("went through").first().waitFor();
    await page.getByRole("heading", { name: "Parked changes" }).waitFor();
    expect(await desk.note(200)).toBe("unique one");
  });

  test("is discarded only when asked twice", async () => {
    const { page } = await browser.open(world, { path: "/parked?node=hub" });
    await page.getByRole("row").filter({ hasText: "id 201" }).waitFor();
    await expectFit(page, "parked");
    await page.getByRole("row").filter({ hasText: "id 201" }).getByRole("link").click();
    await page.getByRole("button", { name: "Discard" }).click();
    await page.getByRole("button", { name: "Keep it" }).click();
    expect((await world.api("GET", "/v1/parked")).body.parked).toHaveLength(1);
    await page.getByRole("button", { name: "Discard" }).click();
    await page.getByRole("button", { name: "Discard the change" }).click();
    await page.getByText("No parked change matches the filter.").waitFor();
    expect(new URL(page.url()).searchParams.get("node")).toBe("hub");
    expect((await world.api("GET", "/v1/parked")).body.parked).toHaveLength(0);
  });

  test("a viewer cannot act on one", async () => {
    const { page } = await browser.open(world, { role: "viewer", path: "/parked" });
    await page.getByText("No change is parked.").waitFor();
    expect(await page.getByRole("button", { name: /Try|Discard/ }).count()).toBe(0);
  });
});
