import { createModuleRunner } from "../../replicator/conflict/module-runner.ts";
import { wantedTables } from "../../replicator/lifecycle/tree.ts";
import { createLink } from "../../replicator/link/create-link.ts";
import type { Link } from "../../replicator/link/link.ts";
import type { Topology } from "../../replicator/topology/topology.ts";
import { openHub, type TestHub, topologyFrom } from "./hub.ts";
import { postgresNode, silent, sqliteNode, type TestNode } from "./nodes.ts";

/** A hub that is served and a SQLite store below it, installed and synced once. */
export interface ServedLink {
  readonly hubNode: TestNode;
  readonly store: TestNode;
  readonly hub: TestHub;
  readonly link: Link;
  readonly topology: Topology;
  close(): Promise<void>;
}

/** `schema`: of both. `url`: what the topology says of a Postgres hub; nobody connects to it. `more`: the topology from `channels` on. */
export async function servedLink(options: {
  readonly engine: "postgres" | "sqlite";
  readonly schema: string;
  readonly url: string;
  readonly more: string;
}): Promise<ServedLink> {
  const { engine, schema, url, more } = options;
  const [hubNode, store] = await Promise.all([
    (engine === "postgres" ? postgresNode : sqliteNode)("hub", schema),
    sqliteNode("store-1", schema),
  ]);
  const topology = await topologyFrom(`version: 1
name: shop
nodes:
  - { name: hub, ${engine === "postgres" ? `type: postgres, url: "${url}"` : "type: sqlite, path: hub.db"} }
  - { name: store-1, type: sqlite, path: store-1.db }
links: [{ parent: hub, child: store-1, channels: [sales] }]
${more}`);
  for (const [at, { node }] of [hubNode, store].entries()) {
    const config = topology.nodes[at];
    if (config !== undefined) await node.installation.apply(wantedTables(topology, config));
  }
  const wanted = topology.links[0];
  if (wanted === undefined) throw new Error("no link");
  const link = createLink({
    parent: hubNode.node,
    child: store.node,
    link: wanted,
    topology,
    observer: silent,
    modules: createModuleRunner(),
  });
  const hub = await openHub({ topology, nodes: [hubNode.node, store.node] });
  await link.sync(new AbortController().signal);
  const close = async () => {
    await hub.close();
    await hubNode.close();
    await store.close();
  };
  return { hubNode, store, hub, link, topology, close };
}
