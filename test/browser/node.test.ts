import { afterAll, beforeAll, expect, test } from "vitest";
import { browserForFile, expectFit } from "./browser.ts";
import { type ConsoleWorld, openConsole } from "./console-world.ts";

let world: ConsoleWorld;
const browser = browserForFile();
beforeAll(async () => {
  world = await openConsole();
});
afterAll(() => world?.close());

test("a node's page shows its link both ways, its database and its tables with their columns", async () => {
  const { page } = await browser.open(world, { path: "/nodes/store-1" });
  const link = page.getByRole("table", { name: "Both directions of hub/store-1" });
  await link.getByRole("cell", { name: "store-1 → hub" }).waitFor();
  const tables = page.getByRole("table", { name: "Captured tables of store-1" });
  await tables.getByRole("button", { name: "3 columns of shop.orders" }).click();
  const shape = page.getByRole("dialog", { name: "shop.orders" });
  await shape.getByRole("cell", { name: "note" }).waitFor();
  await expectFit(page, "node-columns");
  await page.keyboard.press("Escape");
  await shape.waitFor({ state: "detached" });
  await page.getByRole("figure", { name: "Packets that arrived" }).waitFor();
  await expectFit(page, "node");
});

test("an operator pauses and resumes it, and brings over what is pending", async () => {
  const { page } = await browser.open(world, { path: "/nodes/store-1" });
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByText("store-1 is paused; changes are kept until it is resumed").waitFor();
  expect(await page.getByRole("button", { name: "Sync now" }).isDisabled()).toBe(true);
  world.store("store-1").exec("insert into orders (id, note) values (1, 'a'), (2, 'b')");
  await world.hub.query("insert into shop.orders (id, note) values (3, 'c')");
  await page.getByRole("button", { name: "Resume" }).click();
  await page.getByText("store-1 goes on").waitFor();
  await page.getByRole("button", { name: "Sync now" }).click();
  await page.getByText(/\d sent, \d received, 0 conflicts resolved/).waitFor();
  expect(await world.hubRows()).toBe("1:a 2:b 3:c");
  expect(world.storeRows("store-1")).toBe("1:a 2:b 3:c");
});

test("a table that was changed behind Tombolo's back is told of, with what it means", async () => {
  const { page } = await browser.open(world, { path: "/nodes/store-2" });
  await page.getByRole("table", { name: "Captured tables of store-2" }).waitFor();
  world.store("store-2").exec("alter table orders add column extra text");
  await page.reload();
  await page.getByRole("table", { name: "Captured tables of store-2" }).getByText("TABLE_CHANGED").waitFor();
});

test("a viewer sees the same, and nothing that acts", async () => {
  const { page } = await browser.open(world, { path: "/nodes/store-1", role: "viewer" });
  await page.getByRole("table", { name: "Captured tables of store-1" }).waitFor();
  expect(await page.getByRole("button", { name: /Pause|Resume|Sync|Resync/ }).count()).toBe(0);
  expect(await page.getByRole("link", { name: "Full sync …" }).count()).toBe(0);
});

test("a node that is not there is told as such", async () => {
  const { page } = await browser.open(world, { path: "/nodes/store-99" });
  await page.getByText("The topology has no such node").waitFor();
});
