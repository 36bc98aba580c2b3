import { afterEach } from "vitest";
import { nodeName } from "../../replicator/change/names.ts";
import { Edge } from "../../replicator/edge/edge.ts";
import type { Direction, Topology } from "../../replicator/topology/topology.ts";
import { edgeToken } from "./http-link.ts";
import { openHub, type TestHub, type TestHubOptions } from "./hub.ts";
import { postgresNode, silent, sqliteNode, type TestNode, type TestTable, testTopology } from "./nodes.ts";
import type { Engine, Schema } from "./pair.ts";

/** A database that is an edge. */
export interface TestEdge extends TestNode {
  readonly edge: Edge;
  readonly token: string;
}

export interface EdgeWorld {
  readonly database: TestNode;
  readonly hub: TestHub;
  /** As the hub has it. */
  readonly topology: Topology;
  /** An edge that has not exchanged anything yet. `url`: through a proxy. */
  edge(
    name: string,
    options?: {
      readonly engine?: Engine;
      readonly params?: { readonly [name: string]: string };
      readonly url?: string;
      readonly now?: () => number;
    },
  ): Promise<TestEdge>;
  /** Another agent over a database that is there already. */
  agent(node: TestNode, token: string, url?: string): Edge;
  close(): Promise<void>;
}

export interface EdgeWorldOptions {
  readonly engine: Engine;
  readonly schema: Schema;
  readonly tables: readonly TestTable[];
  readonly params?: readonly string[];
  readonly direction?: Direction;
  readonly maxRows?: number;
  readonly hub?: TestHubOptions;
}

/** Opens worlds of one schema, and closes them after every test of the file that calls it. */
export function edgeWorlds(
  shared: Pick<EdgeWorldOptions, "schema" | "tables">,
): (engine: Engine, more?: Partial<EdgeWorldOptions>) => Promise<EdgeWorld> {
  const worlds: EdgeWorld[] = [];
  afterEach(async () => {
    for (const each of worlds.splice(0)) await each.close();
  });
  return async (engine, more = {}) => {
    const world = await edgeWorld({ engine, ...shared, ...more });
    worlds.push(world);
    return world;
  };
}

/** A hub with its service, and edges that come and go. */
export async function edgeWorld(options: EdgeWorldOptions): Promise<EdgeWorld> {
  const { engine, schema, tables, params = [], maxRows } = options;
  const make = (of: Engine, name: string, captured: readonly TestTable[]): Promise<TestNode> =>
    of === "postgres" ? postgresNode(name, schema.postgres, captured) : sqliteNode(name, schema.sqlite, captured);
  const database = await make(engine, "hub", tables);
  const { topology: linked } = testTopology(database.node, database.node, tables, {
    ...(options.direction !== undefined && { direction: options.direction }),
    ...(maxRows !== undefined && { maxRows }),
  });
  const topology: Topology = {
    ...linked,
    nodes: [{ name: database.node.name, type: "sqlite", path: "/hub.db" }],
    links: [],
    groups: [{ name: "edges", parent: database.node.name, channels: linked.links[0]?.channels ?? [], params }],
  };
  const hub = await openHub({
    topology,
    nodes: [database.node],
    ...options.hub,
  });
  const open: (TestNode | Edge)[] = [];
  const agent = (node: TestNode, token: string, url = hub.url, now: () => number = Date.now): Edge => {
    const made = new Edge({
      credential: { hub: url, node: node.node.name, token, ca: null },
      database: node.node.engine === "postgres" ? "postgres://edge" : "path" in node ? String(node.path) : "/edge.db",
      openNode: async () => ({ ...node.node, close: async () => undefined }),
      observer: silent,
      now,
    });
    open.push(made);
    return made;
  };
  return {
    database,
    hub,
    topology,
    agent,
    async edge(name, { engine: of = "sqlite", params: given = {}, url, now } = {}) {
      const node = await make(of, name, []);
      open.push(node);
      const token = edgeToken({ child: nodeName(name), params: given });
      return Object.assign(Object.create(node) as TestNode, { edge: agent(node, token, url, now), token });
    },
    async close() {
      for (const each of open.reverse()) await each.close();
      await hub.close();
      await database.close();
    },
  };
}
