import { UNSEEN } from "./capture-switch.ts";
import { CAPTURE, type TestNode } from "./nodes.ts";

/**
 * Writes behind the back of capture, as someone does who has disabled the triggers for a while. A slot sees everything: there the write passes for one
 * that came from the node's neighbour, who is not told of it.
 */
export function drift(node: TestNode, sql: string): Promise<void> {
  if (node.node.engine === "postgres" && CAPTURE === "slot") {
    return node.write(`update tombolo.peer set apply_xid = pg_current_xact_id(); ${sql}; update tombolo.peer set apply_xid = null`);
  }
  return node.write(UNSEEN[node.node.engine](sql));
}
