import type { Node } from "../node/node.ts";
import type { Logger } from "../observability/log.ts";
import type { Topology, TopologyNode } from "../topology/topology.ts";
import type { Parts } from "./parts.ts";
import { nodeOf, wantedTables } from "./tree.ts";

/**
 * Compares a node that has just been opened with the topology, and says in the log what `apply` would have to do first. What may have let changes
 * pass unseen is marked, as a replicator that runs does every few seconds: one that is started now and then has no other look. Throws `newer` for a database that a newer version has taken over: nothing may be done with it.
 */
export async function preflight(node: Node, topology: Topology, log: Logger): Promise<void> {
  const plan = await node.installation.plan(wantedTables(topology, nodeOf(topology, node.name)));
  for (const { severity, code, table, message, hint } of plan.findings) {
    if (severity === "error") log.error({ node: node.name, code, table, hint }, message);
  }
  // what keeps it from being looked at keeps the link from working, which tells
  for (const { table, code, message, hint } of await node.installation.verify().catch(() => [])) {
    log.warn({ node: node.name, table, code, hint }, message);
  }
  if (plan.steps.length === 0) return;
  const hint = "Run `tombolo plan` to see what differs and `tombolo apply` to bring the database in line.";
  log.warn({ node: node.name, code: "NOT_APPLIED", steps: plan.steps.length, hint }, "the database is not as the topology wants it");
}

/** Opens a node that is to be replicated, and compares it first. */
export async function openExamined(options: { parts: Parts; config: TopologyNode; topology: Topology; log: Logger }): Promise<Node> {
  const node = await options.parts.openNode(options.config);
  try {
    await preflight(node, options.topology, options.log);
    return node;
  } catch (error) {
    await node.close().catch(() => {});
    throw error;
  }
}
