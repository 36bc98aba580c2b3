/**
 * `npm run demo`: Tombolo at work on a small shop, with nothing installed but this package. `--once` tells the story to its end, checks
 * it and exits 0, or 1 with the reason. `--dir DIR` says where the databases go.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { heading, say } from "./narrator.ts";
import { startShop } from "./shop-servers.ts";
import { checkStory, tellStory, watch } from "./story.ts";

const { values } = parseArgs({ options: { once: { type: "boolean", default: false }, dir: { type: "string" } } });
const ONCE_LIMIT_MS = 52_000;

const interrupted = new AbortController();
let interruptedAt = 0;
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    // npm hands a Ctrl-C on that the terminal has sent already: only a later one means "now"
    if (interruptedAt !== 0 && Date.now() - interruptedAt > 1_000) process.exit(1);
    if (interruptedAt === 0) interruptedAt = Date.now();
    interrupted.abort();
  });
}

const started = Date.now();
const limited = new AbortController();
const limit = limited.signal;
interrupted.signal.addEventListener("abort", () => limited.abort());
if (values.once) setTimeout(() => limited.abort(), ONCE_LIMIT_MS).unref();
const shop = await startShop({ directory: values.dir ?? null, temporary: values.once });
try {
  await tellStory(shop, limit);
  if (values.once) await checkStory(shop, limit);
  else await watch(shop, interrupted.signal);
  process.exitCode = interrupted.signal.aborted && values.once ? 1 : 0;
} catch (error) {
  process.exitCode = !values.once && interrupted.signal.aborted ? 0 : 1;
  if (process.exitCode === 1) {
    heading("The demo failed");
    const late = limit.aborted && !interrupted.signal.aborted ? `not done after ${ONCE_LIMIT_MS / 1000} s; ` : "";
    say(`${late}${error instanceof Error ? error.message : String(error)}`);
    say(shop.logTail());
  }
} finally {
  if (!values.once) heading("Stopping");
  await shop.stop({ keep: process.exitCode === 1 || !values.once });
  await sleep(0);
  if (values.once) say(`${process.exitCode === 0 ? "All checks passed" : "Failed"} after ${((Date.now() - started) / 1000).toFixed(1)} s.`);
}
