import { Client } from "pg";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { browserForFile, expectFit } from "./browser.ts";
import { type ConsoleWorld, openConsole } from "./console-world.ts";

const ROWS = 20_000;

let world: ConsoleWorld;
const browser = browserForFile();
beforeAll(async () => {
  // both ends hold rows that differ, and nobody replicates
  world = await openConsole({
    verb: "serve",
    prepare: async ({ hub, store }) => {
      await hub.query(`insert into shop.orders (id, note) select i, 'note ' || i from generate_series(1, ${ROWS}) as i`);
      store("store-1").exec("insert into orders (id, note) values (1, 'another'), (100001, 'only here')");
    },
  });
});
afterAll(() => world?.close());

const start = (page: Page) => page.getByRole("button", { name: "Start the full sync" }).click();
const running = (page: Page) => page.getByRole("region", { name: /hub.*store-1/ });

/** While this lasts a full sync cannot read the table: it is there to be looked at. */
async function holdingTable<T>(act: () => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: world.database.superUrl });
  await client.connect();
  try {
    await client.query("begin; lock table shop.orders in access exclusive mode");
    return await act();
  } finally {
    await client.query("rollback");
    await client.end();
  }
}

test("what was chosen stays chosen while everything around it changes, and says what will happen", async () => {
  const { page } = await browser.open(world, { path: "/full-sync" });
  await page.getByRole("radio", { name: /^store-2 with/ }).check();
  await page.getByRole("radio", { name: "store-2 to hub" }).check();
  await page.getByLabel("Verify").check();
  await page.getByText("hub takes over what store-2 has").waitFor();
  await page.getByText("Both sides are compared, row by row.").waitFor();
  // the safety backup is one of SQLite files
  expect(await page.getByLabel("Safety backup").count()).toBe(0);
  for (const action of ["pause", "resume"]) {
    const looked = page.waitForResponse("**/v1/status");
    await world.api("POST", `/v1/nodes/store-1/${action}`);
    await looked;
  }
  expect(await page.getByRole("radio", { name: /^store-2 with/ }).isChecked()).toBe(true);
  expect(await page.getByRole("radio", { name: "store-2 to hub" }).isChecked()).toBe(true);
  expect(await page.getByLabel("Verify").isChecked()).toBe(true);
  await expectFit(page, "full-sync-form");
});

test("one that would lose rows ends with how many, and changes nothing", async () => {
  const { page } = await browser.open(world, { path: "/full-sync?link=hub/store-1" });
  await start(page);
  await page.getByText("Nothing was changed: rows of store-1 would have been replaced or removed.").waitFor();
  const table = page.getByRole("table", { name: "What becomes different at store-1" });
  expect(await table.getByRole("row").last().getByRole("cell").allTextContents()).toEqual(["shop.orders", "19,999", "1", "1"]);
  expect(world.storeRows("store-1")).toBe("1:another 100001:only here");
  await expectFit(page, "full-sync-differences");
});

test("one is watched while it runs, also from another page, and cancelled after a question", async () => {
  const { page } = await browser.open(world, { path: "/full-sync?link=hub/store-1" });
  await page.getByLabel("Rows of store-1 may be replaced or removed").check();
  await holdingTable(async () => {
    await start(page);
    await running(page).getByText("running").waitFor();
    await page.getByRole("link", { name: "Overview" }).click();
    await page.getByRole("heading", { name: "Overview" }).waitFor();
    await page.getByRole("link", { name: "Full sync" }).click();
    await running(page).getByText("running").waitFor();
    await expectFit(page, "full-sync-running");
    await page.getByRole("button", { name: "Cancel …" }).click();
    await page.getByRole("button", { name: "Let it go on" }).click();
    await running(page).getByText("running").waitFor();
    await page.getByRole("button", { name: "Cancel …" }).click();
    const question = page.getByRole("dialog", { name: "Cancel this full sync?" });
    await expectFit(page, "full-sync-cancel");
    await question.getByRole("button", { name: "Cancel the full sync" }).click();
    await page.getByText("Cancelled. The tables of store-1 are as they were.").waitFor();
  });
  await page.getByRole("region", { name: "Recent" }).getByText("cancelled").first().waitFor();
  expect(world.storeRows("store-1")).toBe("1:another 100001:only here");
});

test("one whose hub dies is told of as such, resumed when the hub is back, and verified", async () => {
  const { page, complaints } = await browser.open(world, { path: "/full-sync?link=hub/store-1" });
  await page.getByLabel("Rows of store-1 may be replaced or removed").check();
  await page.getByLabel("Verify").check();
  await holdingTable(async () => {
    await start(page);
    // as the hub has it in its books
    await page.getByRole("region", { name: "Recent" }).getByText("running").waitFor();
    await world.stop("SIGKILL");
    await page.getByRole("alert").getByText("The line to the hub broke, and with it the full sync.").waitFor();
  });
  await world.serve();
  await page.getByText("The hub does not answer").waitFor({ state: "detached" });
  await page.getByRole("button", { name: "Resume it" }).click();
  await page.getByText(/store-1 is a copy: .* rows read/).waitFor();
  await page.getByText("Both sides are the same.").waitFor();
  expect(world.store("store-1").prepare("select count(*) from orders").pluck().get()).toBe(ROWS);
  await page.getByText("Log, begun").click();
  await expectFit(page, "full-sync-done");
  expect(complaints).toEqual([]);
});

test("a viewer sees what was, and cannot start one", async () => {
  const { page } = await browser.open(world, { path: "/full-sync", role: "viewer" });
  const recent = page.getByRole("region", { name: "Recent" });
  await recent.getByText("hub").first().click();
  await recent.getByText("Tables: shop.orders").first().waitFor();
  await page.getByText("Starting one takes the role of an operator.").waitFor();
  expect(await page.getByRole("button", { name: /Start|Cancel/ }).count()).toBe(0);
  await expectFit(page, "full-sync-viewer");
});
