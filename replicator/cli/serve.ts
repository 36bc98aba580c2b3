import { TomboloError } from "../change/error.ts";
import { NodePool } from "../lifecycle/node-pool.ts";
import { openExamined } from "../lifecycle/preflight.ts";
import { listenForSignals } from "../lifecycle/signals.ts";
import { aborted, systemTimers } from "../lifecycle/timers.ts";
import { nodeOf } from "../lifecycle/tree.ts";
import type { Node } from "../node/node.ts";
import { LagBook } from "../observability/lag.ts";
import { createMetrics, declareLabels } from "../observability/metrics.ts";
import type { Topology } from "../topology/topology.ts";
import { EXIT } from "./exit-codes.ts";
import { hubEndpoint } from "./hub-endpoint.ts";
import { reloadTopology } from "./reload.ts";
import { requireTopology } from "./topology-file.ts";
import type { RunVerb } from "./verb.ts";

/** The hub's service without the replicator: it takes no lease, and several may serve one hub's database. */
export const serve: RunVerb = async (context) => {
  let topology = await requireTopology(context);
  requireHub(topology);
  const log = await context.logger();
  const lag = new LagBook();
  const metrics = createMetrics({ version: context.version, lag, now: systemTimers.now });
  declareLabels(metrics, topology);
  const { parts, version } = context;
  const pool = new NodePool({
    open: (config) => openExamined({ parts, config, topology, log }),
    onOpened: ({ name, engine }) => log.info({ node: name, engine }, "node opened"),
  });
  const node = async (name: string): Promise<Node> => {
    if (pool.lookForReplaced(log)) await pool.keep(topology.nodes);
    return pool.get(nodeOf(topology, name));
  };
  const endpoint = hubEndpoint({ topology: () => topology, node, parts, metrics, lag, log, version });
  const drain = new AbortController();
  const takeOver = async (next: Topology): Promise<void> => {
    await pool.keep(next.nodes);
    topology = next;
    declareLabels(metrics, next);
  };
  const ignore = listenForSignals({
    onDrain: (signal) => {
      log.info({ signal }, "stopping after the requests in hand; a second signal stops at once");
      drain.abort();
    },
    onStopNow: (signal) => {
      log.warn({ signal }, "stopped at once");
      process.exit(EXIT.failed);
    },
    onReload: () => {
      reloadTopology({
        context,
        metrics,
        current: () => topology,
        takeOver,
        listen: async (next) => {
          requireHub(next);
          await endpoint.listen(next);
        },
      }).catch((error: unknown) => log.error({ err: error }, "the reload failed"));
    },
  });
  try {
    await endpoint.listen(topology);
    await aborted(drain.signal);
  } finally {
    ignore();
    await endpoint.close();
    await pool.closeAll();
  }
  log.info("stopped");
  return EXIT.done;
};

function requireHub(topology: Topology): void {
  if (topology.hub !== null) return;
  throw new TomboloError("the topology does not say where the hub is served", {
    code: "HUB_NOT_CONFIGURED",
    kind: "usage",
    hint: 'Add `hub: { listen: "127.0.0.1:7443" }`; see docs/hub.md.',
  });
}
