import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { now } from "../measure/clock.ts";
import { sampleOf } from "../measure/metrics.ts";
import { watchProcess } from "../measure/process.ts";
import type { CommandRun } from "./system.ts";

const TOMBOLO = fileURLToPath(new URL("../../replicator/main.js", import.meta.url));
const DRAIN_MS = 15_000;

export interface TomboloOptions {
  readonly name: string;
  readonly directory: string;
  /** The topology, but for where the metrics are. */
  readonly topology: string;
  /** What the topology takes from the environment. */
  readonly env: { readonly [name: string]: string };
}

/** The product as its users run it: `tombolo apply --yes`, then `tombolo run` on a topology file. */
export class TomboloProcess {
  readonly #file: string;
  readonly #log: string;
  readonly #env: NodeJS.ProcessEnv;
  readonly #port: number;
  #running: ChildProcess | null = null;

  private constructor({ name, directory, topology, env }: TomboloOptions, port: number) {
    this.#file = join(directory, `${name}.yaml`);
    this.#log = join(directory, `${name}.log`);
    this.#env = { ...process.env, ...env };
    this.#port = port;
    writeFileSync(this.#file, `${topology}metrics: { listen: "127.0.0.1:${port}" }\n`);
  }

  /** One that needs nothing applied. */
  static async make(options: TomboloOptions): Promise<TomboloProcess> {
    return new TomboloProcess(options, await freePort());
  }

  /** Applied, not running yet. */
  static async apply(options: TomboloOptions): Promise<TomboloProcess> {
    const tombolo = await TomboloProcess.make(options);
    const [code] = (await once(tombolo.#spawn(["apply", "--yes"]), "exit")) as [number | null];
    if (code !== 0) throw new Error(`tombolo apply ended with ${code}:\n${tombolo.#tail()}`);
    return tombolo;
  }

  get pid(): number | null {
    return this.#running?.pid ?? null;
  }

  /** Runs a verb to its end and answers what it printed. */
  async answer(...args: readonly string[]): Promise<string> {
    const child = spawn(process.execPath, [TOMBOLO, "-c", this.#file, ...args], { env: this.#env, stdio: ["ignore", "pipe", "inherit"] });
    let printed = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      printed += text;
    });
    const [code] = (await once(child, "close")) as [number | null];
    if (code !== 0) throw new Error(`tombolo ${args[0]} ended with ${code}`);
    return printed;
  }

  /** Runs a verb to its end, whatever that is. */
  async command(...args: readonly string[]): Promise<CommandRun> {
    const started = now();
    const child = spawn(process.execPath, [...nodeOptions(), TOMBOLO, "-c", this.#file, ...args], {
      env: this.#env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const watch = watchProcess(() => child.pid ?? null);
    let printed = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        printed += text;
      });
    }
    const [code] = (await once(child, "close")) as [number | null];
    const seconds = (now() - started) / 1000;
    return { code, printed, seconds, peakBytes: watch.stop().peakBytes };
  }

  start(...args: readonly string[]): void {
    this.#running = this.#spawn(args.length === 0 ? ["run"] : args, nodeOptions());
  }

  async stop(): Promise<void> {
    const child = this.#running;
    this.#running = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const end = once(child, "exit");
    child.kill("SIGTERM");
    const patience = new AbortController();
    await Promise.race([end, sleep(DRAIN_MS, undefined, { signal: patience.signal }).catch(() => undefined)]);
    patience.abort();
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
    await end;
  }

  /** Throws what it died of. */
  assertAlive(): void {
    const child = this.#running;
    if (child === null || (child.exitCode === null && child.signalCode === null)) return;
    throw new Error(`tombolo run ended with ${child.signalCode ?? child.exitCode}:\n${this.#tail()}`);
  }

  /** Of the packets' bodies, compressed, both ways; 0 while it does not run. */
  async wireBytes(): Promise<number> {
    if (this.#running === null) return 0;
    const answer = await fetch(`http://127.0.0.1:${this.#port}/metrics`).catch(() => null);
    return answer === null ? 0 : sampleOf(await answer.text(), 'tombolo_batch_bytes_sum{state="compressed"}');
  }

  #spawn(args: readonly string[], options: readonly string[] = []): ChildProcess {
    const output = openSync(this.#log, "a");
    const stdio = ["ignore", output, output] as const;
    const child = spawn(process.execPath, [...options, TOMBOLO, "-c", this.#file, ...args], { env: this.#env, stdio: [...stdio] });
    closeSync(output);
    return child;
  }

  #tail(): string {
    return readFileSync(this.#log, "utf8").trimEnd().split("\n").slice(-15).join("\n");
  }
}

const nodeOptions = (): readonly string[] => (process.env.BENCH_NODE_OPTIONS ?? "").split(" ").filter((option) => option !== "");

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
