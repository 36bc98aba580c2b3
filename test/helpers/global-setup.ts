import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import pg from "pg";
import type { TestProject } from "vitest/node";
import { stopEmbedded } from "../../replicator/node/postgres/embedded.ts";
import { makeRunDirectory, PREFIX, roots } from "./run-directory.ts";

declare module "vitest" {
  export interface ProvidedContext {
    /** A server that is already there, or "" where the embedded one below `postgresDirectory` is to be used. */
    postgresUrl: string;
    postgresDirectory: string;
  }
}

/**
 * One Postgres per run of the tests. The embedded one starts with the first test that wants it, so that a run without database tests
 * does not pay for it. TEST_POSTGRES=postgres://… uses that server (as a superuser), TEST_POSTGRES=testcontainers[:image] starts a container.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  buildIfStale();
  await sweep();
  const directory = makeRunDirectory();
  writeFileSync(join(directory, "run.pid"), String(process.pid));
  // the tests' own files, and those of the commands that they start, are beside the servers; what must be loaded as a program cannot be in memory everywhere
  process.env.TEST_PROGRAMS ??= tmpdir();
  process.env.TMPDIR = directory;
  const wanted = process.env.TEST_POSTGRES ?? "";
  const container = wanted.startsWith("testcontainers") ? await startContainer(wanted.split(":").slice(1).join(":")) : null;
  if (container === null && wanted !== "" && !/^postgres(ql)?:\/\//.test(wanted)) {
    throw new Error("TEST_POSTGRES is a postgres:// URL or testcontainers[:image]");
  }
  project.provide("postgresUrl", container?.url ?? wanted);
  project.provide("postgresDirectory", directory);
  return async () => {
    await container?.stop();
    await remove(directory);
  };
}

/** Tests of the command run dist/: what they say must be about the sources as they are. */
function buildIfStale(): void {
  const { status } = spawnSync(process.execPath, [fileURLToPath(new URL("../tools/build.mjs", import.meta.url))], { stdio: "inherit" });
  if (status !== 0) throw new Error("dist/ cannot be built: see above");
}

async function startContainer(image: string): Promise<{ url: string; stop(): Promise<unknown> }> {
  const { GenericContainer } = await import("testcontainers");
  const password = "tombolo";
  const container = await new GenericContainer(image === "" ? "postgres:17" : image)
    .withEnvironment({ POSTGRES_PASSWORD: password, POSTGRES_USER: "postgres" })
    .withCommand([
      "postgres",
      "-c",
      "fsync=off",
      "-c",
      "max_connections=300",
      "-c",
      "wal_level=logical",
      "-c",
      "max_replication_slots=100",
      "-c",
      "max_wal_senders=100",
    ])
    .withExposedPorts(5432)
    .start();
  const url = `postgres://postgres:${password}@${container.getHost()}:${container.getMappedPort(5432)}/postgres`;
  // the official image starts a first time without TCP, to set itself up
  for (let attempt = 1; !(await answers(url)); attempt++) {
    if (attempt === 300) throw new Error("the container does not take connections");
    await sleep(200);
  }
  return { url, stop: () => container.stop() };
}

async function answers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url });
  client.on("error", () => undefined);
  try {
    await client.connect();
    await client.end();
    return true;
  } catch {
    return false;
  }
}

/** Runs that were killed leave a server behind: the next run clears it away. */
async function sweep(): Promise<void> {
  const runs = roots().flatMap((root) =>
    readdirSync(root)
      .filter((entry) => entry.startsWith(PREFIX))
      .map((entry) => join(root, entry)),
  );
  for (const directory of runs) {
    try {
      process.kill(Number(readFileSync(join(directory, "run.pid"), "utf8")), 0);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ESRCH") await remove(directory);
    }
  }
}

async function remove(directory: string): Promise<void> {
  await stopEmbedded(join(directory, "server"));
  for (const path of mountedIn(directory)) spawnSync("umount", ["-l", path]);
  rmSync(directory, { recursive: true, force: true });
}

/** Small disks of a run that was killed. */
function mountedIn(directory: string): string[] {
  if (!existsSync("/proc/mounts")) return [];
  const paths = readFileSync("/proc/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[1] ?? "");
  return paths.filter((path) => path.startsWith(`${directory}/`));
}
