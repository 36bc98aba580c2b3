#!/usr/bin/env node
import { setFlagsFromString } from "node:v8";
import { isArmed } from "./change/failpoints.ts";
import { runCommandLine } from "./cli/program.ts";
import { verbs } from "./cli/verbs.ts";
import { createModuleRunner } from "./conflict/module-runner.ts";
import { EmbeddedServers } from "./lifecycle/embedded-servers.ts";
import type { Parts } from "./lifecycle/parts.ts";
import { productVersion } from "./lifecycle/product-version.ts";
import type { Node } from "./node/node.ts";
import { describeError } from "./observability/describe-error.ts";
import type { TopologyNode } from "./topology/topology.ts";

// The collector lets the heap grow to several times of what is alive before it cleans up; a replicator is to stay small beside the
// databases. Bulk loads at 30 %: 142 MB and a fifth more processor time; at 100 %: 166 MB; as it is by itself: 210 MB and no faster.
// One transaction of 300,000 rows peaks at 260 MB with 60 %, at 290 to 360 MB with 100 %.
setFlagsFromString("--heap-growing-percent=60");

const modules = createModuleRunner();
const embedded = new EmbeddedServers(async (options) => (await import("./node/postgres/embedded.ts")).startEmbedded(options));

// Each part is loaded when it is first asked for: a command starts in the time that what it needs takes to load.
const parts: Parts = {
  async openNode(config) {
    const node = await opened(config);
    return isArmed() ? (await import("./node/failing-node.ts")).failingNode(node) : node;
  },
  async createLink(options) {
    const { createLink } = await import("./link/create-link.ts");
    return createLink({ ...options, modules });
  },
  async fullSync(options) {
    const { fullSync } = await import("./full-sync/full-sync.ts");
    return fullSync({ ...options, modules });
  },
  async judge() {
    const { createJudge } = await import("./conflict/judge.ts");
    return createJudge(modules);
  },
  async leaseStore(hub, topology) {
    if (hub.type === "sqlite") {
      const { sqliteLease } = await import("./lifecycle/lease-sqlite.ts");
      return sqliteLease({ node: hub.name, path: hub.path });
    }
    const { postgresLease } = await import("./lifecycle/lease-postgres.ts");
    return postgresLease({ node: hub.name, topology, url: () => embedded.urlOf(hub.url) });
  },
};

async function opened(config: TopologyNode): Promise<Node> {
  if (config.type === "sqlite") {
    const { openSqliteNode } = await import("./node/sqlite/open.ts");
    return openSqliteNode({ name: config.name, path: config.path });
  }
  const { openPostgresNode } = await import("./node/postgres/open.ts");
  return openPostgresNode({ name: config.name, url: await embedded.urlOf(config.url), capture: config.capture });
}

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
  parts,
  version: productVersion(),
  env: process.env,
  streams: { stdout: (text) => process.stdout.write(text), stderr: (text) => process.stderr.write(text) },
});
await modules.close();
await embedded.stopAll();
// everything is closed; whatever still keeps the process alive must not make the caller wait
setTimeout(() => process.exit(), 2_000).unref();
