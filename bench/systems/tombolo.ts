import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { SystemName } from "../plan.ts";
import { PostgresStore } from "../stores/postgres.ts";
import type { Ends, Installed, System } from "./system.ts";

const TOMBOLO = fileURLToPath(new URL("../../replicator/main.js", import.meta.url));
const DRAIN_MS = 15_000;

/** The product as its users run it: `tombolo apply --yes`, then `tombolo run` on a topology file. */
export const tombolo: System = system("tombolo", "both");
/** The same where rows travel one way only, as native replication does: the target is not captured, nothing is judged. */
export const tomboloOneWay: System = system("tombolo-one-way", "one way");

function system(name: SystemName, direction: "both" | "one way"): System {
  return { name, install: (ends) => install(ends, direction) };
}

/** The hub is a Postgres: where the source is a SQLite, the source is the child. */
function topology({ source, target }: Ends, direction: "both" | "one way", port: number): string {
  const upward = source.engine === "sqlite";
  const node = (name: "source" | "target", { engine, location }: Ends["source"]) =>
    engine === "postgres"
      ? `{ name: ${name}, type: postgres, url: "\${BENCH_${name.toUpperCase()}}" }`
      : `{ name: ${name}, type: sqlite, path: ${JSON.stringify(location)} }`;
  return `version: 1
name: bench
nodes:
  - ${node("source", source)}
  - ${node("target", target)}
channels:
  - { name: bench, tables: [bench] }
links:
  - parent: ${upward ? "target" : "source"}
    child: ${upward ? "source" : "target"}
    channels: [{ name: bench, direction: ${direction === "both" ? "both" : upward ? "up" : "down"} }]
metrics: { listen: "127.0.0.1:${port}" }
`;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

async function install(ends: Ends, direction: "both" | "one way"): Promise<Installed> {
  const file = join(ends.directory, `${ends.name}.yaml`);
  const log = join(ends.directory, `${ends.name}.log`);
  writeFileSync(file, topology(ends, direction, await freePort()));
  const env = { ...process.env, BENCH_SOURCE: ends.source.location, BENCH_TARGET: ends.target.location };
  const tail = () => readFileSync(log, "utf8").trimEnd().split("\n").slice(-15).join("\n");
  const start = (args: readonly string[]): ChildProcess => {
    const output = openSync(log, "a");
    const extra = args.includes("run") ? (process.env.BENCH_NODE_OPTIONS ?? "").split(" ").filter((option) => option !== "") : [];
    const child = spawn(process.execPath, [...extra, TOMBOLO, "-c", file, ...args], { env, stdio: ["ignore", output, output] });
    closeSync(output);
    return child;
  };

  const applying = start(["apply", "--yes"]);
  const [code] = (await once(applying, "exit")) as [number | null];
  if (code !== 0) throw new Error(`tombolo apply ended with ${code}:\n${tail()}`);

  let running: ChildProcess | null = null;
  const stop = async (): Promise<void> => {
    const child = running;
    running = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const end = once(child, "exit");
    child.kill("SIGTERM");
    const patience = new AbortController();
    await Promise.race([end, sleep(DRAIN_MS, undefined, { signal: patience.signal }).catch(() => undefined)]);
    patience.abort();
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
    await end;
  };
  return {
    get pid() {
      return running?.pid ?? null;
    },
    async start() {
      running = start(["run"]);
    },
    pause: stop,
    async backends() {
      const text = "select pid from pg_stat_activity where datname = current_database() and application_name like 'tombolo%'";
      const ends_ = [ends.source, ends.target].map((store) => (store instanceof PostgresStore ? store.pids(text) : []));
      return (await Promise.all(ends_)).flat();
    },
    assertAlive() {
      if (running !== null && (running.exitCode !== null || running.signalCode !== null)) {
        throw new Error(`tombolo run ended with ${running.signalCode ?? running.exitCode}:\n${tail()}`);
      }
    },
    remove: stop,
  };
}
