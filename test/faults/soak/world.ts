import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, type Started, start, tombolo, until } from "../../helpers/command.ts";
import { openLine } from "../../helpers/line.ts";
import { durableServer, withClient } from "../../helpers/postgres.ts";
import { type Place, postgresPlace, sqlitePlace } from "../places.ts";
import { FIRST_ROWS, OWN_ROWS, SCHEMA, TABLES } from "./writers.ts";

const STORES = ["store-1", "store-2", "store-3", "store-4"];
const EDGES = ["edge-1", "edge-2", "edge-3", "edge-4"];

type Server = Awaited<ReturnType<typeof durableServer>>;

/** A hub and a replica on servers of their own, four SQLite databases beside the replicator, four edges over HTTP: ten nodes. */
export interface SoakWorld {
  readonly places: readonly Place[];
  readonly hub: Server;
  readonly replica: Server;
  readonly edges: readonly string[];
  /** The process that replicates and serves. */
  readonly replicator: Started;
  restartReplicator(): void;
  restartEdge(name: string): Promise<void>;
  /** Whether the edges reach the hub. */
  line(open: boolean): void;
  close(): Promise<void>;
}

const topology = (hub: string, replica: string, port: number, metrics: number): string => `version: 1
name: soak
nodes:
  - { name: hub, type: postgres, url: "${hub}" }
  - { name: replica, type: postgres, url: "${replica}" }
${STORES.map((name) => `  - { name: ${name}, type: sqlite, path: ./${name}.db }`).join("\n")}
channels:
  - name: all
    tables:${TABLES}
links:
${["replica", ...STORES].map((name) => `  - { parent: hub, child: ${name}, channels: [ { name: all, direction: both } ] }`).join("\n")}
groups: [ { name: shops, parent: hub, channels: [ { name: all, direction: both } ] } ]
retry: { initial: 50ms, factor: 2, max: 1s, jitter: true }
hub: { listen: 127.0.0.1:${port}, max_requests: 100000 }
metrics: { listen: 127.0.0.1:${metrics} }
`;

export async function openSoakWorld(connections: { readonly hub: number; readonly replica: number }): Promise<SoakWorld> {
  const folder = mkdtempSync(join(tmpdir(), "tombolo-soak-"));
  const [hub, replica] = [await durableServer(), await durableServer()];
  for (const { url } of [hub, replica]) await withClient(url, (client) => client.query(`${SCHEMA} ${OWN_ROWS}`));
  await withClient(hub.url, (client) => client.query(FIRST_ROWS));
  const places = [
    postgresPlace("hub", "hub", hub.url, connections.hub),
    postgresPlace("replica", "replica", replica.url, connections.replica),
    ...STORES.map((name) => sqlitePlace(name, "store", join(folder, `${name}.db`), { schema: `${SCHEMA} ${OWN_ROWS}` })),
    ...EDGES.map((name) => sqlitePlace(name, "edge", join(folder, `${name}.db`), { schema: `${SCHEMA} ${OWN_ROWS}` })),
  ];
  const file = join(folder, "topology.yaml");
  const port = await freePort();
  writeFileSync(file, topology(hub.url, replica.url, port, await freePort()));
  const command = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await tombolo(["-c", file, ...args]);
    if (code !== 0) throw new Error(`tombolo ${args[0]} ended with ${code}: ${stderr}`);
    return stdout.trim();
  };
  await command("apply", "--yes");
  const run = (): Started => start(["-c", file, "run", "--log-format", "json"]);
  let replicator = run();
  await until("the hub answers", async () => (await fetch(`http://127.0.0.1:${port}/v1/ping`)).ok, 60_000);
  const line = await openLine(port);
  const agents = new Map<string, Started>();
  const startEdge = (name: string, code?: string): void => {
    const once = code === undefined ? [] : ["--hub", line.url, "--code", code];
    const own = ["--database", join(folder, `${name}.db`), "--credential", join(folder, `${name}.json`)];
    agents.set(name, start(["edge", ...own, "--interval", "1s", ...once]));
  };
  for (const name of EDGES) {
    startEdge(name, await command("tokens", "create", "--role", "node", "--group", "shops", "--node", name, "--expires", "20d"));
  }
  return {
    places,
    hub,
    replica,
    edges: EDGES,
    get replicator() {
      return replicator;
    },
    restartReplicator() {
      replicator.process.kill("SIGKILL");
      replicator = run();
    },
    async restartEdge(name) {
      await agents.get(name)?.stop("SIGKILL");
      startEdge(name);
    },
    line: (open) => line.set(open ? "open" : "cut"),
    async close() {
      for (const agent of agents.values()) await agent.stop("SIGKILL");
      await replicator.stop("SIGKILL");
      await line.close();
      for (const place of places) await place.close();
      await hub.remove();
      await replica.remove();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
