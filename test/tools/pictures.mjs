// Makes the pictures of the README and the docs from the running demo: `npm run pictures`. Needs a Chromium, as the browser tests do.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const root = fileURLToPath(new URL("../..", import.meta.url));
const folder = join(root, "docs/pictures");
const executablePath = process.env.TOMBOLO_CHROMIUM ?? "/usr/bin/chromium";
/** The lines of the charts need some time to be lines. */
const LOOKING_MS = 60_000;

const DESK = { viewport: { width: 1280, height: 860 }, deviceScaleFactor: 1.5 };
const TALL = { ...DESK, viewport: { width: 1280, height: 1080 } };
const PHONE = { viewport: { width: 390, height: 780 }, deviceScaleFactor: 2 };

/** By the name of the file. */
const PICTURES = [
  { name: "console-overview", path: "/", size: DESK, colorScheme: "light" },
  { name: "console-overview-phone", path: "/", size: PHONE, colorScheme: "dark" },
  { name: "console-full-sync", path: "/full-sync?link=hub/store-1", size: TALL, colorScheme: "light" },
  { name: "console-conflicts", path: "/conflicts?status=all", size: DESK, colorScheme: "dark" },
];

const directory = mkdtempSync(join(tmpdir(), "tombolo-pictures-"));
rmSync(directory, { recursive: true });
const demo = spawn(process.execPath, [join(root, "dist/config/demo/demo.js"), "--dir", directory], {
  stdio: ["ignore", "pipe", "inherit"],
});
const ended = once(demo, "exit");
let browser;
try {
  const address = await addressOf(demo);
  browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
  mkdirSync(folder, { recursive: true });
  const pages = await Promise.all(PICTURES.map((picture) => opened(browser, address, picture)));
  await sleep(LOOKING_MS);
  for (const [index, { name }] of PICTURES.entries()) {
    await pages[index].screenshot({ path: join(folder, `${name}.png`) });
    console.log(`docs/pictures/${name}.png`);
  }
} finally {
  await browser?.close();
  demo.kill("SIGINT");
  await ended;
  rmSync(directory, { recursive: true, force: true });
}

/** Reads on to the end, so that the demo is never kept from telling more. */
function addressOf({ stdout }) {
  return new Promise((resolve, reject) => {
    let text = "";
    stdout.on("data", (chunk) => {
      text += chunk;
      const [address] = /http:\S+#token=\S+/.exec(text) ?? [];
      if (address !== undefined) resolve(address);
    });
    stdout.on("end", () => reject(new Error(`the demo ended before it named the console:\n${text}`)));
  });
}

async function opened(browser, address, { path, size, colorScheme }) {
  const context = await browser.newContext({ ...size, colorScheme });
  const page = await context.newPage();
  const [base, token] = address.split("/console/");
  await page.goto(`${base}/console${path}${token}`);
  await page.getByRole("heading", { level: 1 }).waitFor();
  return page;
}
