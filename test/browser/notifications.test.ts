import { afterAll, beforeAll, expect, test } from "vitest";
import { type HookReceiver, hookReceiver } from "../helpers/receivers.ts";
import { browserForFile, expectFit } from "./browser.ts";
import { type ConsoleWorld, openConsole } from "./console-world.ts";

let hook: HookReceiver;
let world: ConsoleWorld;
const browser = browserForFile();
beforeAll(async () => {
  hook = await hookReceiver();
  const target = (name: string) => `{ name: ${name}, type: webhook, url: "${hook.url}/${name}", events: [must_resync, conflicts_open] }`;
  world = await openConsole({ more: `notifications: { targets: [${target("chat")}, ${target("pager")}] }` });
});
afterAll(async () => {
  await world?.close();
  await hook?.close();
});

const tested = (name: string) => hook.posted.filter(({ path }) => path === `/hook/${name}`);

test("who is told of what; a test reaches its target at once, and what it answers is shown", async () => {
  const { page } = await browser.open(world, { role: "operator", path: "/notifications" });
  const pager = page.getByRole("row").filter({ hasText: "pager" });
  await pager.getByText("must resync, conflicts open").waitFor();
  await page.getByRole("button", { name: "Send a test to pager" }).click();
  await pager.getByText("taken").waitFor();
  expect(tested("pager")).toHaveLength(1);
  expect(tested("chat")).toHaveLength(0);

  hook.status = 500;
  await page.getByRole("button", { name: "Test all" }).click();
  await pager.getByText("failed").waitFor();
  await page.getByText("2 targets did not take the test").waitFor();
  expect(tested("chat")).toHaveLength(1);
  await expectFit(page, "notifications");
});

test("a viewer sees the targets, and sends nothing", async () => {
  const { page } = await browser.open(world, { role: "viewer", path: "/notifications" });
  await page.getByRole("row").filter({ hasText: "chat" }).waitFor();
  expect(await page.getByRole("button", { name: /test/i }).count()).toBe(0);
});
