import { afterAll, beforeAll, expect, test } from "vitest";
import { browserForFile, expectAccessible, shoot } from "./browser.ts";
import { type ConsoleWorld, openConsole } from "./console-world.ts";
import { deskWorld } from "./desk-world.ts";

const MANY = 10_000;

let world: ConsoleWorld;
const browser = browserForFile();
beforeAll(async () => {
  world = await openConsole({ stores: ["store-1"] });
  const { conflict, settle } = deskWorld(world);
  await conflict(1);
  // the others are copies of that one, about rows of their own: to judge ten thousand takes longer than to look at them
  await world.hub.query("insert into shop.orders select n, note, qty from shop.orders, generate_series(2, $1::int) n where id = 1", [MANY]);
  const row = (name: string) => `jsonb_set(${name}, '{id}', to_jsonb(n::text))`;
  await world.hub.query(
    `insert into tombolo.conflict_history (table_name, key, kind, policy, resolution, reason, parent_row, child_row, base_row, result_row, child_node, status, columns)
     select table_name, ${row("key")}, kind, policy, resolution, reason, ${row("parent_row")}, ${row("child_row")}, ${row("base_row")}, ${row("result_row")},
            child_node, status, columns from tombolo.conflict_history, generate_series(2, $1::int) n order by n`,
    [MANY],
  );
  await settle();
});
afterAll(() => world?.close());

test("ten thousand conflicts: the list pages through them, stays small in the page, and all that match are decided at once", async () => {
  const { page } = await browser.open(world, { path: "/conflicts" });
  await page.getByText("1–50 of 200 or more").waitFor();
  const rows = page.locator("tbody tr");
  expect(await rows.count()).toBe(50);
  for (let turned = 1; turned <= 5; turned++) await page.getByRole("button", { name: "Next", exact: true }).click();
  await page.getByText("251–300 of 400 or more").waitFor();
  await page.getByRole("button", { name: "Select all that match" }).click();
  await page.getByText("10,000 conflicts loaded, 10,000 selected").waitFor();
  expect(await rows.count()).toBe(50);
  expect(await page.evaluate(() => document.querySelectorAll("*").length)).toBeLessThan(2_500);
  await shoot(page, "many-conflicts");
  await expectAccessible(page);
  // a click is answered at once, however many are loaded
  await page.getByRole("button", { name: "Select none" }).click();
  await page.getByText("10,000 conflicts loaded", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Next", exact: true }).click();
  await page.getByText("301–350 of 10,000").waitFor();
});

test("a few of ten thousand are decided together, and the count follows", async () => {
  const { page } = await browser.open(world, { path: "/conflicts" });
  await page.getByText("1–50 of 200 or more").waitFor();
  for (const box of (await page.getByRole("checkbox").all()).slice(0, 3)) await box.check();
  await page.getByRole("button", { name: "Take the parent's in 3" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Take the parent's" }).click();
  await page.getByText("3 conflicts decided: the parent's.").waitFor();
  const { body } = await world.api("GET", "/v1/status");
  expect(body.nodes[0].conflicts_open).toBe(MANY - 3);
});
