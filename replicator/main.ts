#!/usr/bin/env node
import { setFlagsFromString } from "node:v8";
import { laterVerbs } from "./cli/later.ts";
import { runCommandLine } from "./cli/program.ts";
import { verbs } from "./cli/verbs.ts";
import { productVersion } from "./cli/version.ts";
import { EmbeddedServers } from "./lifecycle/embedded-servers.ts";
import { postgresLease } from "./lifecycle/lease-postgres.ts";
import { sqliteLease } from "./lifecycle/lease-sqlite.ts";
import type { Parts } from "./lifecycle/parts.ts";
import { createLink } from "./link/create-link.ts";
import { startEmbedded } from "./node/postgres/embedded.ts";
import { openPostgresNode } from "./node/postgres/open.ts";
import { openSqliteNode } from "./node/sqlite/open.ts";
import { describeError } from "./observability/describe-error.ts";

// The collector lets the heap grow to several times of what is alive before it cleans up; a replicator is to stay small beside the
// databases. Peak of a 500 k backlog into SQLite 353 -> 208 MB, for 3 to 25 % more processor time.
setFlagsFromString("--heap-growing-percent=30");

const embedded = new EmbeddedServers(startEmbedded);

const parts: Parts = {
  async openNode(config) {
    if (config.type === "sqlite") return openSqliteNode({ name: config.name, path: config.path });
    return openPostgresNode({ name: config.name, url: await embedded.urlOf(config.url) });
  },
  createLink,
  leaseStore(hub, topology) {
    if (hub.type === "sqlite") return sqliteLease({ node: hub.name, path: hub.path });
    return postgresLease({ node: hub.name, topology, url: () => embedded.urlOf(hub.url) });
  },
};

function die(error: unknown, origin?: unknown): never {
  const { code, message, stack } = describeError(error);
  const how = origin === "uncaughtException" ? "uncaught" : "unhandled";
  process.stderr.write(`tombolo: ${how}: ${message} (${code})\n${stack === undefined ? "" : `${stack}\n`}`);
  process.exit(1);
}

process.on("uncaughtException", die).on("unhandledRejection", die);
// a reader that has seen enough (`tombolo plan --sql | head`) is no failure
process.stdout.on("error", (error: NodeJS.ErrnoException) => (error.code === "EPIPE" ? process.exit(0) : die(error)));

process.exitCode = await runCommandLine(process.argv.slice(2), {
  verbs,
  hidden: laterVerbs,
  parts,
  version: productVersion(),
  env: process.env,
  streams: { stdout: (text) => process.stdout.write(text), stderr: (text) => process.stderr.write(text) },
});
await embedded.stopAll();
// everything is closed; whatever still keeps the process alive must not make the caller wait
setTimeout(() => process.exit(), 2_000).unref();
