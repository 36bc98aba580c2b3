import { setTimeout as sleep } from "node:timers/promises";
import { TABLE_NAMES } from "../stores/tables.ts";
import type { Ends, Installed, System } from "./system.ts";
import { logBytes, tomboloBackends } from "./tombolo.ts";
import { freePort, TomboloProcess } from "./tombolo-process.ts";

/** The Postgres is a hub with its HTTP service, the SQLite an edge with its agent, enrolled by a code; everything travels through the service. */
export const tomboloHttp: System = { name: "tombolo-http", install };

async function install({ name, directory, source, target }: Ends): Promise<Installed> {
  const upward = source.engine === "sqlite";
  const [hubStore, edgeStore] = upward ? [target, source] : [source, target];
  const port = await freePort();
  const topology = `version: 1
name: bench
nodes:
  - { name: hub, type: postgres, url: "\${BENCH_HUB}" }
channels:
  - { name: bench, tables: [${TABLE_NAMES.join(", ")}] }
groups:
  - { name: edges, parent: hub, channels: [bench] }
hub: { listen: "127.0.0.1:${port}", max_requests: 100000 }
`;
  const hub = await TomboloProcess.apply({ name: `${name}-hub`, directory, topology, env: { BENCH_HUB: hubStore.location } });
  const { secret } = JSON.parse(await hub.answer("tokens", "create", "--role", "node", "--group", "edges", "--node", "edge", "--json")) as {
    secret: string;
  };
  const edge = await TomboloProcess.make({ name: `${name}-edge`, directory, topology: "", env: {} });
  const connection = ["--database", edgeStore.location];
  const enrol = [...connection, "--hub", `http://127.0.0.1:${port}`, "--code", secret];
  hub.start();
  await serving(hub, port);
  edge.start("edge", ...enrol);
  return {
    get pid() {
      return edge.pid;
    },
    async start() {
      if (hub.pid === null) hub.start();
      if (edge.pid === null) edge.start("edge", ...connection);
    },
    pause: async () => {
      await edge.stop();
      await hub.stop();
    },
    // the hub's process serves as the database's do
    backends: async () => [...(await tomboloBackends([source, target])), ...(hub.pid === null ? [] : [hub.pid])],
    logBytes: () => logBytes(source),
    assertAlive() {
      hub.assertAlive();
      edge.assertAlive();
    },
    async remove() {
      await edge.stop();
      await hub.stop();
    },
  };
}

async function serving(hub: TomboloProcess, port: number): Promise<void> {
  for (;;) {
    hub.assertAlive();
    const answer = await fetch(`http://127.0.0.1:${port}/v1/ping`).catch(() => null);
    if (answer?.ok) return;
    await sleep(50);
  }
}
