import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { type EmbeddedServer, startEmbedded, stopEmbedded } from "../../replicator/node/postgres/embedded.ts";
import { type LongRunning, startReplicator, startWriter, type Writer } from "./child-processes.ts";
import { fillShop, STORES } from "./shop-data.ts";
import { openShop, type ShopDatabase } from "./shop-database.ts";

/** Everything that the demo has running, and how to stop it. */
export interface Shop {
  readonly directory: string;
  readonly topology: string;
  readonly metricsUrl: string;
  /** Where the web console is. */
  readonly consoleUrl: string;
  /** Of the child processes: names the ports. */
  readonly env: NodeJS.ProcessEnv;
  /** The applications' connections: a URL or a path. Holds a password. */
  readonly locations: ReadonlyMap<string, string>;
  /** The demo's own, by node, hub first. */
  readonly databases: ReadonlyMap<string, ShopDatabase>;
  readonly writers: readonly Writer[];
  startReplicator(): void;
  stopReplicator(): Promise<void>;
  startWriters(rate: number): void;
  stopWriters(): Promise<void>;
  /** Throws where a process has ended that should not have. */
  assertRunning(): void;
  logTail(): string;
  stop(options: { readonly keep: boolean }): Promise<void>;
}

const asset = (name: string): string => fileURLToPath(new URL(`./${name}`, import.meta.url));
const MARK = "demo.pid";

/** Two Postgres servers and two SQLite files, each with the shop's tables; only the hub holds rows. */
export async function startShop(options: { readonly directory: string | null; readonly temporary: boolean }): Promise<Shop> {
  const directory = await emptyDirectory(options);
  const topology = join(directory, "topology.yaml");
  copyFileSync(asset("topology.yaml"), topology);
  const [port, hubPort] = [await usualPort(9187, options.temporary), await usualPort(7443, options.temporary)];
  const env = { ...process.env, DEMO_METRICS_PORT: String(port), DEMO_HUB_PORT: String(hubPort) };

  const servers: EmbeddedServer[] = [];
  const locations = new Map<string, string>();
  const databases = new Map<string, ShopDatabase>();
  const writers: Writer[] = [];
  let replicator: (LongRunning & { tail(): string }) | null = null;
  let writing = false;

  const stopWriters = async (): Promise<void> => {
    writing = false;
    await Promise.all(writers.map((writer) => writer.stop()));
  };
  const stop = async ({ keep }: { readonly keep: boolean }): Promise<void> => {
    await stopWriters();
    await replicator?.stop();
    await Promise.all([...databases.values()].map((database) => database.close().catch(() => undefined)));
    await Promise.all(servers.map((server) => server.stop()));
    if (!keep) rmSync(directory, { recursive: true, force: true });
    else rmSync(join(directory, MARK), { force: true });
  };

  try {
    const names = ["hub", "reports"];
    servers.push(...(await Promise.all(names.map((name) => startEmbedded({ directory: join(directory, name) })))));
    for (const [index, name] of names.entries()) locations.set(name, servers[index]!.url);
    for (const name of STORES) locations.set(name, join(directory, `${name}.db`));
    for (const [name, location] of locations) {
      const database = await openShop(location);
      databases.set(name, database);
      await database.script(readFileSync(asset(names.includes(name) ? "shop-postgres.sql" : "shop-sqlite.sql"), "utf8"));
    }
    await fillShop(databases.get("hub")!);
  } catch (error) {
    await stop({ keep: !options.temporary });
    throw error;
  }

  return {
    directory,
    topology: relative(process.cwd(), topology).startsWith("..") ? topology : relative(process.cwd(), topology),
    metricsUrl: `http://127.0.0.1:${port}/metrics`,
    consoleUrl: `http://127.0.0.1:${hubPort}/console/`,
    env,
    locations,
    databases,
    writers,
    startReplicator: () => {
      replicator = startReplicator(topology, join(directory, "replicator.log"), env);
    },
    stopReplicator: async () => {
      await replicator?.stop();
    },
    // two processes at each store: SQLite, too, is shared
    startWriters: (rate) => {
      writing = true;
      for (const name of ["hub", "hub", ...STORES, ...STORES]) writers.push(startWriter({ name, location: locations.get(name)!, rate }));
    },
    stopWriters,
    assertRunning: () => {
      const watched = [replicator, ...(writing ? writers : [])];
      const reason = watched.map((process) => process?.ended() ?? null).find((ended) => ended !== null);
      if (reason !== undefined) throw new Error(reason ?? "");
    },
    logTail: () => replicator?.tail() ?? "",
    stop,
  };
}

/** Only a directory that a demo made before is cleared. */
async function emptyDirectory({
  directory,
  temporary,
}: {
  readonly directory: string | null;
  readonly temporary: boolean;
}): Promise<string> {
  if (directory === null && temporary) {
    const made = mkdtempSync(join(tmpdir(), "tombolo-demo-"));
    // as root, the servers run as another user, who must get to their data
    chmodSync(made, 0o755);
    return made;
  }
  const root = resolve(directory ?? "data/demo");
  const mark = join(root, MARK);
  const isOurs = existsSync(join(root, "topology.yaml")) && existsSync(join(root, "hub"));
  if (existsSync(root) && !isOurs && directory !== null) throw new Error(`${root} exists and is not a demo's directory`);
  if (existsSync(mark) && isAlive(Number(readFileSync(mark, "utf8")))) throw new Error(`another demo runs in ${root}`);
  await Promise.all(["hub", "reports"].map((name) => stopEmbedded(join(root, name))));
  rmSync(root, { recursive: true, force: true });
  mkdirSync(root, { recursive: true });
  writeFileSync(mark, String(process.pid));
  return root;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** The usual one for a person to look at, if it is free; otherwise any. */
async function usualPort(usual: number, temporary: boolean): Promise<number> {
  return (temporary ? null : await freePort(usual)) ?? (await freePort(0)) ?? usual;
}

function freePort(wanted: number): Promise<number | null> {
  return new Promise((done) => {
    const server = createServer();
    server.once("error", () => done(null));
    server.listen(wanted, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => done(typeof address === "object" && address !== null ? address.port : null));
    });
  });
}
