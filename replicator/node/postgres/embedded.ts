import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { chown, mkdir, open, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { TomboloError } from "../../change/error.ts";
import { processLives } from "../process-lives.ts";
import { type Account, type Binaries, findBinaries, serverAccount, spawnAs } from "./embedded-binaries.ts";

export interface EmbeddedOptions {
  /** Made when it is missing; holds the data, the password (mode 0600) and the server's log. */
  readonly directory: string;
  /** A free one by default. */
  readonly port?: number;
  /** Server settings, e.g. `{ fsync: "off" }`. They count only for the process that starts the server. */
  readonly settings?: { readonly [name: string]: string };
}

export interface EmbeddedServer {
  /** Superuser `postgres`, database `postgres`. Holds the password. */
  readonly url: string;
  /** Stops the server (a fast shutdown) if this process started it, or if whoever started it is gone; otherwise leaves it running. */
  stop(): Promise<void>;
}

interface Paths {
  readonly root: string;
  readonly data: string;
  readonly password: string;
  readonly log: string;
  readonly owner: string;
  readonly lock: string;
}

const START_TIMEOUT_MS = 60_000;

/**
 * A Postgres of its own, for trying, developing and testing. Listens on 127.0.0.1 only, with a random password. A second caller for
 * the same directory, in this process or another, gets the server that is already running. Throws `EMBEDDED_START` (operator).
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<EmbeddedServer> {
  const paths = pathsOf(options.directory);
  const binaries = await findBinaries();
  const account = serverAccount();
  // not the data directory: that is made under the lock, once whoever holds it has cleared what was there
  await mkdir(paths.root, { recursive: true, mode: 0o755 });
  const release = await lock(paths);
  try {
    await initialise(binaries, account, paths);
    const password = (await readFile(paths.password, "utf8")).trim();
    const running = await postmaster(paths);
    const port = running === null ? await launch(binaries, account, paths, options) : await ready(paths, () => null);
    const adopted = running !== null && (await ownerIsGone(paths));
    const owns = running === null || adopted;
    if (owns) await writeFile(paths.owner, String(process.pid));
    return {
      url: `postgres://postgres:${password}@127.0.0.1:${port}/postgres`,
      stop: async () => {
        if (owns) await stopEmbedded(options.directory);
      },
    };
  } finally {
    await release();
  }
}

/** Stops the server of this directory, whoever started it; returns when it has ended. Nothing happens where none runs. */
export async function stopEmbedded(directory: string): Promise<void> {
  const paths = pathsOf(directory);
  const running = await postmaster(paths);
  if (running === null) return;
  signal(running.pid, "SIGINT");
  for (let waited = 0; processLives(running.pid); waited += 20) {
    if (waited === 15_000) signal(running.pid, "SIGQUIT");
    await sleep(20);
  }
  await rm(paths.owner, { force: true });
}

function pathsOf(directory: string): Paths {
  const root = resolve(directory);
  const at = (name: string) => join(root, name);
  return { root, data: at("pgdata"), password: at("password"), log: at("server.log"), owner: at("owner.pid"), lock: at("starting.pid") };
}

async function initialise(binaries: Binaries, account: Account | null, paths: Paths): Promise<void> {
  if ((await contents(join(paths.data, "PG_VERSION"))) !== null) return;
  // what an initialisation that was cut short left behind holds no data: PG_VERSION is there before the first row
  await rm(paths.data, { recursive: true, force: true });
  await mkdir(paths.data, { mode: 0o700 });
  const password = randomBytes(24).toString("base64url");
  await writeFile(paths.password, `${password}\n`, { mode: 0o600 });
  // initdb runs as the server's account and must be able to read the password: through a file that lives for a moment only
  const readable = join(paths.data, "..", "initdb.password");
  await writeFile(readable, `${password}\n`, { mode: 0o600 });
  if (account !== null) await Promise.all([paths.data, readable].map((path) => chown(path, account.uid, account.gid)));
  const flags = ["--username=postgres", "--auth=scram-sha-256", `--pwfile=${readable}`, "--encoding=UTF8", "--locale=C"];
  try {
    await run(binaries.initdb, [`--pgdata=${paths.data}`, "--no-sync", ...flags], account, paths);
  } catch (error) {
    await rm(paths.data, { recursive: true, force: true });
    throw error;
  } finally {
    await rm(readable, { force: true });
  }
}

async function run(file: string, args: readonly string[], account: Account | null, paths: Paths): Promise<void> {
  const log = await open(paths.log, "a", 0o600);
  try {
    const child = spawnAs(account, file, args, { data: paths.data, stdio: ["ignore", log.fd, log.fd] });
    const [code] = (await once(child, "exit")) as [number | null];
    if (code !== 0) throw startError(paths, `initdb ended with code ${code}`);
  } finally {
    await log.close();
  }
}

/** Starts the server in a session of its own, so that a Ctrl-C meant for us does not stop it under our feet. Answers its port. */
async function launch(binaries: Binaries, account: Account | null, paths: Paths, options: EmbeddedOptions): Promise<number> {
  const port = options.port ?? (await freePort());
  const settings = {
    listen_addresses: "127.0.0.1",
    unix_socket_directories: "",
    port: String(port),
    logging_collector: "off",
    // so that a node may capture from a slot
    wal_level: "logical",
    ...options.settings,
  };
  const args = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const log = await open(paths.log, "a", 0o600);
  try {
    const child = spawnAs(account, binaries.postgres, ["-D", paths.data, ...args], {
      data: paths.data,
      stdio: ["ignore", log.fd, log.fd],
      detached: true,
    });
    let failure: string | null = null;
    child.once("error", (error) => {
      failure = error.message;
    });
    child.once("exit", (code) => {
      failure ??= `the server ended with code ${code}`;
    });
    child.unref();
    return await ready(paths, () => failure);
  } finally {
    await log.close();
  }
}

/** Waits until the server says in postmaster.pid that it takes connections, and answers its port. */
async function ready(paths: Paths, failure: () => string | null): Promise<number> {
  for (let waited = 0; waited < START_TIMEOUT_MS; waited += 20) {
    const running = await postmaster(paths);
    if (running?.ready && running.port !== null) return running.port;
    const reason = failure();
    if (reason !== null) throw startError(paths, reason);
    await sleep(20);
  }
  throw startError(paths, `the server was not ready after ${START_TIMEOUT_MS / 1000} s`);
}

/** The running server, from its postmaster.pid; null when there is none or the file is a leftover of one that was killed. */
async function postmaster(paths: Paths): Promise<{ pid: number; port: number | null; ready: boolean } | null> {
  const lines = (await contents(join(paths.data, "postmaster.pid")))?.split("\n");
  const pid = Number(lines?.[0]);
  if (lines === undefined || !Number.isInteger(pid) || pid <= 0 || !processLives(pid)) return null;
  // the number of a server that was killed may by now belong to another program
  const command = process.platform === "linux" ? await contents(`/proc/${pid}/cmdline`) : null;
  if (command !== null && !command.includes(paths.data)) return null;
  const port = Number(lines[3]);
  return { pid, port: Number.isInteger(port) && port > 0 ? port : null, ready: lines[7]?.trim() === "ready" };
}

/** One starter at a time for a directory. A lock whose holder is gone counts for nothing. */
async function lock(paths: Paths): Promise<() => Promise<void>> {
  for (let waited = 0; waited < START_TIMEOUT_MS; waited += 20) {
    try {
      await writeFile(paths.lock, String(process.pid), { flag: "wx" });
      return () => rm(paths.lock, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    const holder = await contents(paths.lock);
    // an empty file is a lock that is being written at this moment
    if (holder !== null && holder !== "" && !processLives(Number(holder))) await rm(paths.lock, { force: true });
    else await sleep(20);
  }
  throw startError(paths, "another process keeps starting it");
}

async function ownerIsGone(paths: Paths): Promise<boolean> {
  const owner = await contents(paths.owner);
  return owner === null || !processLives(Number(owner));
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new TypeError("a TCP server has an address with a port");
  return address.port;
}

async function contents(path: string): Promise<string | null> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

function startError(paths: Paths, reason: string): TomboloError {
  return new TomboloError(`the embedded Postgres in ${paths.root} did not start: ${reason}`, {
    code: "EMBEDDED_START",
    kind: "operator",
    hint: `Read ${paths.log}.`,
  });
}
