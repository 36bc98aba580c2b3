import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import axe from "axe-core";
import { type BrowserContext, chromium, type Page } from "playwright-core";
import { afterAll, afterEach, expect } from "vitest";
import type { ConsoleRole, ConsoleWorld } from "./console-world.ts";

const FILE = process.env.TOMBOLO_CHROMIUM ?? "/usr/bin/chromium";
const FLAGS =
  "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync";

export const WIDTHS = { wide: { width: 1440, height: 900 }, phone: { width: 390, height: 844 } } as const;

export interface ConsolePage {
  readonly page: Page;
  /** Errors, warnings and refused requests of the page so far; whoever expects one takes it out. */
  readonly complaints: string[];
  /** Opens a path below /console. */
  visit(path: string): Promise<void>;
}

/** One Chromium for the tests of a file, with a fresh profile, ended after them. */
export function browserForFile(): { open(world: ConsoleWorld, options?: OpenOptions): Promise<ConsolePage> } {
  let running: Promise<BrowserContext> | undefined;
  const opened: ConsolePage[] = [];
  const profile = mkdtempSync(join(tmpdir(), "tombolo-browser-"));
  const launch = (): Promise<BrowserContext> =>
    chromium.launchPersistentContext(profile, { executablePath: FILE, args: FLAGS.split(" "), viewport: WIDTHS.wide });
  // each holds a connection for its events, of the six that Chromium has for one host
  afterEach(async () => void (await Promise.all(opened.map(({ page }) => page.close()))));
  afterAll(async () => {
    await (await running)?.close();
    rmSync(profile, { recursive: true, force: true });
    for (const { complaints } of opened) expect(complaints).toEqual([]);
  });
  return {
    async open(world, options) {
      running ??= launch();
      const context = await running;
      const page = await openPage(context, world, options);
      opened.push(page);
      return page;
    },
  };
}

export interface OpenOptions {
  /** Null opens the page without a token. */
  readonly role?: ConsoleRole | null;
  readonly path?: string;
}

async function openPage(
  context: BrowserContext,
  world: ConsoleWorld,
  { role = "operator", path = "/" }: OpenOptions = {},
): Promise<ConsolePage> {
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(`error: ${error.message}`));
  page.on("console", (message) => {
    // that a request was refused, or a hub is away, the browser says by itself
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) complaints.push(`console: ${message.text()}`);
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(world.hubUrl)) complaints.push(`another address: ${request.url()}`);
  });
  const visit = async (to: string): Promise<void> => void (await page.goto(`${world.hubUrl}/console${to}`));
  await visit(role === null ? path : `${path}#token=${world.tokens[role]}`);
  return { page, complaints, visit };
}

/** No finding of axe that is serious or worse; says which, and where. */
export async function expectAccessible(page: Page): Promise<void> {
  await page.evaluate(axe.source);
  const found = await page.evaluate(async () => {
    const runner = (globalThis as unknown as { axe: typeof axe }).axe;
    const { violations } = await runner.run({ resultTypes: ["violations"] });
    return violations
      .filter(({ impact }) => impact === "serious" || impact === "critical")
      .map(
        ({ id, nodes }) => `${id}: ${nodes.map(({ target, failureSummary }) => `${target.join(" ")} ${failureSummary ?? ""}`).join("; ")}`,
      );
  });
  expect(found).toEqual([]);
}

/**
 * Looks at a page at both widths, light and dark: nothing is wider than the screen, and axe has nothing serious to say (of one light and one dark:
 * that is what takes time). With TOMBOLO_SHOTS a picture of each goes there, for a person to look at.
 */
export async function expectFit(page: Page, name: string): Promise<void> {
  for (const [width, size] of Object.entries(WIDTHS)) {
    await page.setViewportSize(size);
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      expect(overflow, `${name}, ${width}: wider than the screen`).toBeLessThanOrEqual(0);
      await shoot(page, `${name}-${width}-${colorScheme}`);
      if ((width === "wide") === (colorScheme === "light")) await expectAccessible(page);
    }
  }
  await page.setViewportSize(WIDTHS.wide);
  await page.emulateMedia({ colorScheme: "light" });
}

export async function shoot(page: Page, name: string): Promise<void> {
  const folder = process.env.TOMBOLO_SHOTS;
  if (folder === undefined) return;
  mkdirSync(folder, { recursive: true });
  // what stands fast while one scrolls would be in the middle of the picture
  await page.evaluate(() => window.scrollTo(0, 0));
  await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
}
