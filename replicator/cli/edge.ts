import { EdgeAgent } from "../edge/agent.ts";
import { listenForSignals } from "../lifecycle/signals.ts";
import { describeError } from "../observability/describe-error.ts";
import { edgeInput, withEdge } from "./edge-input.ts";
import { EXIT } from "./exit-codes.ts";
import type { RunVerb } from "./verb.ts";

/** The agent beside an edge's database: runs until it is told to stop. */
export const edge: RunVerb = async (context, input) => {
  const given = await edgeInput(context, input);
  const log = await context.logger();
  return withEdge(context, given, async (opened, { node, hub }) => {
    const agent = new EdgeAgent({
      edge: opened,
      intervalMs: given.intervalMs,
      watcher: {
        status: (state) => log.info({ node, state }, `the edge is ${state}`),
        progress: () => {},
        completed: (counts) => log.debug({ node, ...counts }, "exchanged"),
        fullSync: ({ phase, rows, estimatedRows }) => log.debug({ node, phase, rows, estimatedRows }, "filling the tables anew"),
        reconciled: ({ outcome }) => log.info({ node, outcome }, "compared with the hub"),
        failed: (error, pause) => {
          const retryInMs = Math.round(pause);
          const { code } = describeError(error);
          log[code === "HUB_UNREACHABLE" ? "info" : "warn"]({ node, code, retryInMs, err: error }, "the exchange failed");
        },
      },
    });
    const drain = new AbortController();
    const ignore = listenForSignals({
      onDrain: (signal) => {
        log.info({ signal }, "stopping after the packet in hand; a second signal stops at once");
        drain.abort();
      },
      onStopNow: (signal) => {
        log.warn({ signal }, "stopped at once");
        process.exit(EXIT.failed);
      },
      onReload: () => agent.nudge(),
    });
    log.info({ node, hub }, "the edge is enrolled");
    try {
      await agent.run(drain.signal);
    } finally {
      ignore();
    }
    log.info("stopped");
    return EXIT.done;
  });
};
