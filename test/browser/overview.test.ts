import { afterAll, beforeAll, expect, test } from "vitest";
import { browserForFile, expectFit } from "./browser.ts";
import { type ConsoleWorld, openConsole } from "./console-world.ts";

let world: ConsoleWorld;
const browser = browserForFile();
beforeAll(async () => {
  world = await openConsole({ stores: ["store-1", "store-2"] });
});
afterAll(() => world?.close());

test("where all is well it says so, and shows the tree with what waits in each direction", async () => {
  const { page } = await browser.open(world);
  await page.getByRole("heading", { name: "All is well" }).waitFor();
  const tree = page.getByRole("region", { name: "Topology" });
  expect(await tree.getByRole("link").allTextContents()).toEqual(["hub", "store-1", "store-2"]);
  await tree.getByText("from store-1 to hub").first().waitFor({ state: "attached" });
  // two samples make a line
  await page.getByRole("figure", { name: "Packets that arrived" }).getByText("0/s").first().waitFor();
  await expectFit(page, "overview-well");
});

test("what needs attention comes first, with what to do, and goes when it is done", async () => {
  const { page } = await browser.open(world);
  await page.getByRole("heading", { name: "All is well" }).waitFor();
  await world.api("POST", "/v1/nodes/store-1/pause");
  const attention = page.getByRole("region", { name: "1 thing needs attention" });
  await attention.getByText("The link is paused").waitFor();
  await attention.getByText("Changes are kept until it is resumed.").waitFor();
  await expectFit(page, "overview-attention");
  await attention.getByRole("link").click();
  await page.getByRole("heading", { name: "store-1" }).waitFor();
  await world.api("POST", "/v1/nodes/store-1/resume");
  await page.goBack();
  await page.getByRole("heading", { name: "All is well" }).waitFor();
});

test("a hub that is killed and started anew while the page is open: it says that it is old, comes back, and is right", async () => {
  const { page } = await browser.open(world);
  await page.getByRole("heading", { name: "All is well" }).waitFor();
  await world.stop("SIGKILL");
  await page.getByText("The hub does not answer").waitFor();
  await world.serve();
  await page.getByText("The hub does not answer").waitFor({ state: "detached" });
  await world.api("POST", "/v1/nodes/store-2/pause");
  await page.getByText("The link is paused").waitFor();
  await world.api("POST", "/v1/nodes/store-2/resume");
  await page.getByRole("heading", { name: "All is well" }).waitFor();
});

test("a network that is gone without a word, and back", async () => {
  const { page } = await browser.open(world);
  await page.getByRole("heading", { name: "All is well" }).waitFor();
  await page.context().setOffline(true);
  await page.getByText("The hub does not answer").waitFor();
  await page.context().setOffline(false);
  await page.getByText("The hub does not answer").waitFor({ state: "detached" });
});
