import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { browserForFile, expectFit } from "./browser.ts";
import { type ConsoleWorld, openConsole } from "./console-world.ts";

let world: ConsoleWorld;
const browser = browserForFile();
beforeAll(async () => {
  world = await openConsole();
});
afterAll(() => world?.close());

describe("signing in", () => {
  test("a token in the address signs in, and does not stay there", async () => {
    const { page } = await browser.open(world);
    await page.getByRole("heading", { name: "Overview" }).waitFor();
    expect(page.url()).toBe(`${world.hubUrl}/console/`);
    expect(await page.evaluate(() => history.length)).toBe(2);
    await page.getByText("the operator").waitFor();
    await page.reload();
    await page.getByRole("heading", { name: "Overview" }).waitFor();
  });

  test("a token is pasted; a wrong one is refused with the hub's words, and the page that was wanted is there afterwards", async () => {
    const { page } = await browser.open(world, { role: null });
    await page.evaluate(() => sessionStorage.clear());
    await page.reload();
    await page.getByLabel("Token").fill("tbl_0123456789abcdef_wrong");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByText("TOKEN_INVALID").waitFor();
    await expectFit(page, "sign-in");
    await page.getByLabel("Token").fill(` ${world.tokens.viewer} `);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Overview" }).waitFor();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("Token").waitFor();
    expect(await page.evaluate(() => sessionStorage.length)).toBe(0);
  });

  test("a token that is revoked while the page is open leads back to the sign-in, and says why", async () => {
    const made = await world.api("POST", "/v1/tokens", { role: "viewer", name: "for a moment" });
    const { page } = await browser.open(world, { role: null, path: `/#token=${made.body.secret}` });
    await page.getByRole("link", { name: "store-1" }).waitFor();
    await world.api("DELETE", `/v1/tokens/${made.body.token.id}`);
    await page.getByText("The hub does not take this token any more").waitFor();
    await page.getByLabel("Token").waitFor();
  });
});

test("there is no page at an unknown address, and a way back", async () => {
  const { page } = await browser.open(world, { path: "/nowhere" });
  await page.getByRole("heading", { name: "No such page" }).waitFor();
  await page.getByRole("link", { name: "To the overview" }).click();
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  await page.goBack();
  await page.getByRole("heading", { name: "No such page" }).waitFor();
});

test("on a phone the pages are behind a button, which the keyboard reaches", async () => {
  const { page } = await browser.open(world);
  await page.setViewportSize({ width: 390, height: 844 });
  const menu = page.getByRole("button", { name: "Menu" });
  await menu.focus();
  expect(await page.getByRole("navigation", { name: "Pages" }).isVisible()).toBe(false);
  await page.keyboard.press("Enter");
  expect(await page.getByRole("navigation", { name: "Pages" }).isVisible()).toBe(true);
  expect(await menu.getAttribute("aria-expanded")).toBe("true");
});

test("the console as a whole is below 150 kB, compressed", async () => {
  const { page } = await browser.open(world);
  await page.getByRole("link", { name: "store-1" }).waitFor();
  const addresses = await page.evaluate(() => performance.getEntriesByType("resource").map(({ name }) => name));
  const files = [`${world.hubUrl}/console/`, ...addresses.filter((each) => each.includes("/console/"))];
  let total = 0;
  for (const each of new Set(files)) {
    const answer = await fetch(each, { headers: { "accept-encoding": "gzip" } });
    expect([each, answer.status, answer.headers.get("content-encoding")]).toEqual([each, 200, "gzip"]);
    const { gzipSync } = await import("node:zlib");
    total += gzipSync(Buffer.from(await answer.arrayBuffer())).length;
  }
  expect(files.length).toBeGreaterThan(2);
  expect(total).toBeLessThan(150_000);
});
