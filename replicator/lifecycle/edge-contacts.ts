import type { Node } from "../node/node.ts";
import type { Logger } from "../observability/log.ts";
import type { Metrics } from "../observability/metrics.ts";
import { NodeChore, type OpenNodes } from "./node-chore.ts";
import type { Service } from "./service.ts";
import type { Timers } from "./timers.ts";

const EVERY_MS = 60_000;
/** The newest so many are looked at. */
const MOST_TOKENS = 10_000;

export interface EdgeContactsOptions extends OpenNodes {
  readonly metrics: Pick<Metrics, "edges" | "edgeOldestContact">;
  readonly log: Logger;
  readonly timers: Timers;
  /** Asked every time, as a reload may have changed it. */
  readonly groups: () => readonly string[];
}

/** Tells of the topology's edges by their groups: how many there are, and since when the most silent of them has not been heard of. */
export const edgeContacts = (options: EdgeContactsOptions): Service =>
  new NodeChore({ ...options, name: "edge-contacts", everyMs: EVERY_MS, work: (node) => look(node, options) });

async function look(hub: Node, { metrics, log, groups }: EdgeContactsOptions): Promise<void> {
  try {
    const tokens = await hub.tokens.list({ role: "node", inForce: true, limit: MOST_TOKENS });
    for (const group of groups()) {
      // one that has just rotated its token has two
      const contacts = new Map<string, number>();
      for (const { kind, node, group: of, createdAt, lastUsedAt } of tokens) {
        if (kind !== "token" || node === null || of !== group) continue;
        contacts.set(node, Math.max(contacts.get(node) ?? 0, Date.parse(lastUsedAt ?? createdAt)));
      }
      metrics.edges.set({ group }, contacts.size);
      if (contacts.size === 0) metrics.edgeOldestContact.remove({ group });
      else metrics.edgeOldestContact.set({ group }, Math.min(...contacts.values()) / 1000);
    }
  } catch (error) {
    log.debug({ node: hub.name, err: error }, "the edges could not be asked for");
  }
}
