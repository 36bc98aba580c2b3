import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";

/** The built command; `npm ci` and `npm run build` make it. */
const MAIN = process.env.TOMBOLO_MAIN ?? fileURLToPath(new URL("../../dist/replicator/main.js", import.meta.url));

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A `tombolo` that runs. */
export interface Started {
  readonly process: ChildProcess;
  /** What it wrote to standard error so far. */
  stderr(): string;
  readonly finished: Promise<Finished>;
  /** Sends the signal and waits for the end. */
  stop(signal?: NodeJS.Signals): Promise<Finished>;
}

export type Environment = Readonly<Record<string, string>>;

export function start(args: readonly string[], env: Environment = {}): Started {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...env } });
  const out: string[] = [];
  const err: string[] = [];
  child.stdout.setEncoding("utf8").on("data", (text: string) => out.push(text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => err.push(text));
  const finished = once(child, "close").then(([code]) => ({ code: code as number | null, stdout: out.join(""), stderr: err.join("") }));
  return {
    process: child,
    stderr: () => err.join(""),
    finished,
    stop(signal = "SIGTERM") {
      child.kill(signal);
      return finished;
    },
  };
}

/** Runs `tombolo` to its end. */
export const tombolo = (args: readonly string[], env: Environment = {}): Promise<Finished> => start(args, env).finished;

/** Waits until the condition holds; what it threw last, or `what`, is the failure. */
export async function until(what: string, condition: () => Promise<boolean> | boolean, timeoutMs = 30_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  let last: unknown;
  while (Date.now() < deadline) {
    try {
      if (await condition()) return;
      last = undefined;
    } catch (error) {
      last = error;
    }
    await delay(20);
  }
  throw new Error(`not within ${timeoutMs} ms: ${what}${last instanceof Error ? ` (${last.message})` : ""}`, { cause: last });
}

/** One that systems do not hand out to connections by themselves, so that nobody takes it before it is used. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 22_000);
    const server = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => resolve(true));
    });
    if (!isFree) continue;
    server.close();
    await once(server, "close");
    return port;
  }
}
