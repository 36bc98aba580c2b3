import { afterAll, beforeAll, expect, test } from "vitest";
import { browserForFile, expectFit } from "./browser.ts";
import { type ConsoleWorld, openConsole } from "./console-world.ts";

/** All but the first are not there: the most that can be wrong. */
const STORES = Array.from({ length: 299 }, (_, index) => `store-${index + 1}`);

let world: ConsoleWorld;
const browser = browserForFile();
beforeAll(async () => {
  world = await openConsole({ stores: STORES, missing: STORES.slice(1), verb: "serve" });
});
afterAll(() => world?.close());

test("three hundred nodes, nearly all of them down: the worst first, the tree in parts, and one is found by name", async () => {
  const { page } = await browser.open(world);
  await page.getByRole("heading", { name: "298 things need attention" }).waitFor({ timeout: 30_000 });
  expect(await page.getByRole("listitem").count()).toBeLessThan(70);
  await expectFit(page, "overview-300");
  await page.getByLabel("Find a node").fill("store-29");
  const tree = page.getByRole("region", { name: "Topology" });
  await tree.getByRole("link", { name: "store-299" }).waitFor();
  expect(await tree.getByRole("link").count()).toBe(12);
  await page.reload();
  await tree.getByRole("link", { name: "store-299" }).waitFor();
  expect(await page.getByLabel("Find a node").inputValue()).toBe("store-29");
});
