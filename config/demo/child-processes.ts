import { type ChildProcess, fork, spawn } from "node:child_process";
import { once } from "node:events";
import { openSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Tally } from "./writer.ts";

const TOMBOLO = fileURLToPath(new URL("../../replicator/main.js", import.meta.url));
const WRITER = fileURLToPath(new URL("./writer.js", import.meta.url));

export interface CommandResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a `tombolo` verb to its end, as a person would type it. */
export async function tombolo(args: readonly string[], env: NodeJS.ProcessEnv): Promise<CommandResult> {
  const child = spawn(process.execPath, [TOMBOLO, ...args], { env, stdio: ["ignore", "pipe", "pipe"], detached: true, timeout: 60_000 });
  const [stdout, stderr, [status]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  return { status: status as number | null, stdout, stderr };
}

async function text(stream: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

/** A process that goes on until it is stopped. A session of its own, so that Ctrl-C reaches only the demo, which stops it in order. */
export interface LongRunning {
  /** Null while it runs. */
  ended(): string | null;
  stop(): Promise<void>;
}

/** `tombolo run`; what it logs goes to `log`. */
export function startReplicator(topology: string, log: string, env: NodeJS.ProcessEnv): LongRunning & { tail(): string } {
  const file = openSync(log, "a");
  const child = spawn(process.execPath, [TOMBOLO, "-c", topology, "run"], { env, stdio: ["ignore", file, file], detached: true });
  const tail = () => readFileSync(log, "utf8").trimEnd().split("\n").slice(-15).join("\n");
  return { ...longRunning(child, "tombolo run"), tail };
}

export interface Writer extends LongRunning {
  readonly name: string;
  tally(): Tally;
}

export function startWriter(options: { readonly name: string; readonly location: string; readonly rate: number }): Writer {
  const { name, location, rate } = options;
  const child = fork(WRITER, [location, name, String(rate)], { stdio: ["ignore", "inherit", "inherit", "ipc"], detached: true });
  let tally: Tally = { transactions: 0, customers: 0, orders: 0 };
  child.on("message", (message) => {
    tally = message as Tally;
  });
  return { name, tally: () => tally, ...longRunning(child, `the writer at ${name}`) };
}

function longRunning(child: ChildProcess, name: string): LongRunning {
  let ended: string | null = null;
  child.once("error", (error) => {
    ended = `${name} did not start: ${error.message}`;
  });
  child.once("exit", (code, signal) => {
    ended = `${name} ended with ${signal ?? `exit code ${code}`}`;
  });
  const end = once(child, "close").catch(() => undefined);
  return {
    ended: () => ended,
    stop: async () => {
      if (ended !== null) return;
      child.kill("SIGTERM");
      const patience = new AbortController();
      await Promise.race([end, sleep(15_000, undefined, { signal: patience.signal }).catch(() => undefined)]);
      patience.abort();
      if (ended === null) child.kill("SIGKILL");
      await end;
    },
  };
}
