import type { Node } from "../node/node.ts";
import type { Retention } from "../node/retention.ts";
import type { Logger } from "../observability/log.ts";
import { NodeChore, type OpenNodes } from "./node-chore.ts";
import type { Service } from "./service.ts";
import type { Timers } from "./timers.ts";

const EVERY_MS = 60_000;

export interface LogKeeperOptions extends OpenNodes {
  readonly log: Logger;
  readonly timers: Timers;
  /** Asked every time, as a reload may have changed it. */
  readonly retention: () => Retention;
}

/**
 * Sees to it that no node keeps its change log longer, or larger, than the topology says because a child is away: once a minute. Who is left behind
 * is told, and comes back through a full sync.
 */
export const logKeeper = (options: LogKeeperOptions): Service =>
  new NodeChore({ ...options, name: "log", everyMs: EVERY_MS, work: (node) => retain(node, options) });

async function retain(node: Node, { log, retention }: LogKeeperOptions): Promise<void> {
  try {
    for (const { reader, limit } of await node.log.retain(retention())) {
      const hint = `Run \`tombolo full-sync ${reader}\` when it is back.`;
      log.warn({ node: node.name, reader, limit, code: "READER_LEFT_BEHIND", hint }, "a child is further behind than the log is kept");
    }
  } catch (error) {
    log.debug({ node: node.name, err: error }, "the change log could not be held to its limits");
  }
}
