import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { UNSEEN } from "../helpers/capture-switch.ts";
import { until } from "../helpers/command.ts";
import { browserForFile, expectFit } from "./browser.ts";
import { type ConsoleWorld, openConsole } from "./console-world.ts";
import { type DeskWorld, deskWorld } from "./desk-world.ts";

let world: ConsoleWorld;
let desk: DeskWorld;
const browser = browserForFile();
beforeAll(async () => {
  world = await openConsole({ more: 'reconcile: [{ name: nightly, cron: "0 3 * * *", timezone: Europe/Berlin, links: all }]' });
  desk = deskWorld(world);
  await world.hub.query("insert into shop.orders select n, 'order ' || n, n from generate_series(1, 20) n");
  await desk.settle();
});
afterAll(() => world?.close());

/** Written behind the back of capture. */
const unseen = (sql: string): unknown => world.store("store-2").transaction(() => world.store("store-2").exec(UNSEEN.sqlite(sql)))();

const noteAt = (id: number): unknown => world.store("store-2").prepare("select note from orders where id = ?").pluck().get(id);

describe("reconcile", () => {
  test("schedules tell the next time; a comparison is run and its drift shown with the rows of both ends", async () => {
    unseen("update orders set note = 'drifted away' where id = 7");
    const { page } = await browser.open(world, { path: "/reconcile" });
    await page
      .getByRole("row")
      .filter({ hasText: "nightly" })
      .getByText(/^in \d/)
      .waitFor();
    await page.getByLabel("Link").selectOption("hub/store-2");
    await page.getByRole("button", { name: "Compare", exact: true }).click();
    const result = page.getByRole("region", { name: "What came of hub/store-2" });
    await result.getByText("20 compared, 1 differ").waitFor();
    await result.getByRole("button", { name: "Show this row" }).click();
    await result.getByText("drifted away").waitFor();
    expect(noteAt(7)).toBe("drifted away");
    await page
      .getByRole("button", { name: /^hub\/store-2: show the comparison/ })
      .first()
      .click();
    await page.getByRole("table", { name: "What was found at hub/store-2" }).waitFor();
    expect(page.url()).toMatch(/run=hub%2F\d+$/);
    await expectFit(page, "reconcile");
  });

  test("what differs is repaired", async () => {
    const { page } = await browser.open(world, { path: "/reconcile" });
    await page.getByLabel("Link").selectOption("hub/store-2");
    await page.getByLabel("What differs").selectOption("parent");
    await page.getByRole("button", { name: "Compare and repair" }).click();
    await page.getByRole("region", { name: "What came of hub/store-2" }).waitFor();
    await until("it is as the hub has it", () => noteAt(7) === "order 7");
  });

  test("a repair that would delete many rows asks first, and does what it is told", async () => {
    unseen(`insert into orders values ${Array.from({ length: 15 }, (_, at) => `(${500 + at}, 'only here', 1)`).join(", ")}`);
    const { page } = await browser.open(world, { path: "/reconcile" });
    await page.getByLabel("Link").selectOption("hub/store-2");
    await page.getByLabel("What differs").selectOption("parent");
    await page.getByRole("button", { name: "Compare and repair" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByText("15 rows only at store-2").waitFor();
    expect(noteAt(500)).toBe("only here");
    await dialog.getByRole("button", { name: "Leave them" }).click();
    await page.getByText("asks first").first().waitFor();
    expect(noteAt(500)).toBe("only here");
    await page.getByRole("button", { name: "Compare and repair" }).click();
    await dialog.getByRole("button", { name: "Delete them" }).click();
    await until("they are gone", () => noteAt(500) === undefined);
  });

  test("a viewer sees what was compared, and cannot start anything", async () => {
    const { page } = await browser.open(world, { role: "viewer", path: "/reconcile" });
    await page
      .getByRole("button", { name: /: show the comparison/ })
      .first()
      .waitFor();
    expect(await page.getByRole("heading", { name: "Compare now" }).count()).toBe(0);
  });
});

describe("edges", () => {
  test("an enrolment code is made, shown once with a QR code, and enrols the edge", async () => {
    const { page } = await browser.open(world, { role: "admin", path: "/edges" });
    await page.getByLabel("Name of the edge").fill("till-7");
    await page.getByLabel("region").fill("north");
    await page.getByRole("button", { name: "Make an enrolment code" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("img", { name: "The enrolment code as a QR code" }).waitFor();
    const code = (await dialog.getByTestId("secret").textContent())?.trim() ?? "";
    expect(code).toMatch(/^tbc_/);
    await expectFit(page, "enrolment-code");
    await dialog.getByRole("button", { name: "Done" }).click();
    expect(await page.content()).not.toContain(code);
    await page.getByRole("table", { name: "Codes that wait to be used" }).getByText("till-7").waitFor();
    expect((await world.api("POST", "/v1/enrol", { code })).status).toBe(201);
    await page.getByRole("button", { name: "Reload" }).click();
    await page.getByRole("table", { name: "Edges" }).getByText("till-7").waitFor();
    await page.getByText("region north").waitFor();
    await expectFit(page, "edges");
  });

  test("a token is rotated, and revoked when asked twice", async () => {
    const { page } = await browser.open(world, { role: "admin", path: "/edges" });
    await page.getByRole("button", { name: "Rotate the token of till-7" }).click();
    await page.getByRole("button", { name: "Make a new token" }).click();
    await page.getByRole("dialog").getByText(/^tbl_/).first().waitFor();
    await page.getByRole("button", { name: "Done" }).click();
    await page.getByRole("button", { name: "Revoke the token of till-7" }).click();
    await page.getByRole("button", { name: "Revoke it" }).click();
    await page.getByText("Revoked: the token of till-7.").waitFor();
    await page.getByText("No edge has enrolled.").waitFor();
  });

  test("whoever is no admin sees edges, and neither tokens nor codes", async () => {
    const { page } = await browser.open(world, { role: "operator", path: "/edges" });
    await page.getByText("No edge has enrolled.").waitFor();
    expect(await page.getByRole("heading", { name: "Enrol an edge" }).count()).toBe(0);
    expect(await page.getByRole("link", { name: "Audit" }).count()).toBe(0);
  });
});

test("the audit trail tells who did what, by the filter of the address", async () => {
  const { page } = await browser.open(world, { role: "admin", path: "/audit?what=token%20revoked" });
  await page.getByRole("row").filter({ hasText: "till-7" }).first().waitFor();
  expect(await page.getByRole("cell", { name: "token created" }).count()).toBe(0);
  await page.getByLabel("What").selectOption("");
  await page.getByRole("cell", { name: "token created" }).first().waitFor();
  await page.getByLabel("Who").fill("nobody");
  await page.getByText("Nothing was written down.").waitFor();
  await page.getByLabel("Who").fill("ann");
  await page.getByRole("cell", { name: "ann" }).first().waitFor();
  await expectFit(page, "audit");
});

test("the plan tells what a database lacks, with its SQL", async () => {
  const { page } = await browser.open(world, { role: "viewer", path: "/plan" });
  await page.getByText("Every database is as the topology says.").waitFor();
  world.store("store-2").exec("alter table orders add column colour text");
  await page.getByRole("button", { name: "Look again" }).click();
  const card = page.getByRole("region", { name: "store-2" });
  await card.getByRole("group").first().click();
  await card.locator("pre").first().waitFor();
  expect(await card.locator("pre").first().textContent()).toMatch(/^drop trigger .*;$/);
  await page.getByText("Nothing to do at hub, store-1.").waitFor();
  await expectFit(page, "plan");
  await page.getByRole("button", { name: "Count what first contacts will find" }).click();
  await page.getByRole("heading", { name: "First contacts" }).waitFor();
});
