import { issue } from "../../../replicator/hub/issue.ts";
import { hubOf, wantedTables } from "../../../replicator/lifecycle/tree.ts";
import { openPostgresNode } from "../../../replicator/node/postgres/open.ts";
import { openSqliteNode } from "../../../replicator/node/sqlite/open.ts";
import { loadTopology } from "../../../replicator/topology/load.ts";

const DAY_MS = 86_400_000;
const ADMIN = { role: "admin", name: null, node: null, group: null, params: {}, lifetimeMs: 365 * DAY_MS, codeLifetimeMs: DAY_MS } as const;

/**
 * What `tombolo apply` and `tombolo tokens create --role admin` do, without a process for each: every history begins with it, and none is about it. Answers the
 * operator's token.
 */
export async function installed(topologyFile: string): Promise<string> {
  const loaded = await loadTopology(topologyFile, {});
  if ("problems" in loaded) throw new Error(JSON.stringify(loaded.problems));
  const { topology } = loaded;
  const tokens = await Promise.all(
    topology.nodes.map(async (config) => {
      const node = await (config.type === "postgres" ? openPostgresNode(config) : openSqliteNode(config));
      try {
        await node.installation.apply(wantedTables(topology, config));
        return config === hubOf(topology) ? (await issue(node.tokens, topology, ADMIN, "operator")).secret : "";
      } finally {
        await node.close();
      }
    }),
  );
  return tokens.join("");
}
