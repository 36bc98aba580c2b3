import type { NodeName } from "../change/names.ts";
import { openExamined } from "../lifecycle/preflight.ts";
import { systemTimers } from "../lifecycle/timers.ts";
import type { LinkCounts, LinkObserver } from "../link/link.ts";
import { errorReport } from "../observability/describe-error.ts";
import type { Logger } from "../observability/log.ts";
import type { Reached } from "../observability/status-report.ts";
import type { Topology, TopologyLink } from "../topology/topology.ts";
import { chosenLinks } from "./chosen-links.ts";
import { whileNobodyReplicates } from "./exclusive.ts";
import { EXIT, exitCodeOf, worst } from "./exit-codes.ts";
import { listenForInterrupt } from "./interrupt.ts";
import { withNodes } from "./nodes-of.ts";
import { plural } from "./output.ts";
import { type LinkResult, syncLinks } from "./sync-links.ts";
import { requireTopology } from "./topology-file.ts";
import { type RunVerb, text } from "./verb.ts";

export const sync: RunVerb = async (context, input) => {
  const topology = await requireTopology(context);
  const links = chosenLinks(topology, text(input, "link"));
  const names = new Set(links.flatMap(({ parent, child }) => [parent, child]));
  const configs = topology.nodes.filter(({ name }) => names.has(name));
  const log = await context.logger();
  const open: OpenConflicts = new Map();
  const interrupt = listenForInterrupt();
  try {
    const results = await whileNobodyReplicates(context, topology, "sync", () =>
      withNodes(
        context,
        configs,
        async (nodes) => {
          const { signal } = interrupt;
          if (topology.addsColumns) await carryColumns({ topology, links, nodes, log, signal });
          return syncLinks({ topology, links, nodes, parts: context.parts, observer: syncObserver(log, open), signal });
        },
        (config) => openExamined({ parts: context.parts, config, topology, log }),
      ),
    );
    if (context.json) context.out.json({ links: results.map((result) => resultJson(result, open)) });
    else for (const result of results) context.out.line(resultLine(result, open));
    if (interrupt.signal.aborted) context.out.note("interrupted: what was not sent is sent next time");
    return worst([
      ...results.map(({ error }) => (error === undefined ? EXIT.done : exitCodeOf(error))),
      ...(interrupt.signal.aborted ? [EXIT.failed] : []),
    ]);
  } finally {
    interrupt.ignore();
  }
};

/** What a replicator that runs does every few seconds. */
async function carryColumns(options: {
  readonly topology: Topology;
  readonly links: readonly TopologyLink[];
  readonly nodes: ReadonlyMap<NodeName, Reached>;
  readonly log: Logger;
  readonly signal: AbortSignal;
}): Promise<void> {
  const { topology, links, nodes, log, signal } = options;
  const { ColumnCarrier } = await import("../lifecycle/column-carrier.ts");
  const node = (name: NodeName) => {
    const reached = nodes.get(name);
    return reached !== undefined && "node" in reached ? reached.node : null;
  };
  await new ColumnCarrier({ log, timers: systemTimers, topology: () => topology, links: () => links, node }).once(signal);
}

/** Conflicts that this round left to a person, by child. */
type OpenConflicts = Map<string, number>;

function resultLine({ link, counts, error }: LinkResult, open: OpenConflicts): string {
  const moved = `${link.child}: ${countsText(counts, open.get(link.child))}`;
  if (error === undefined) return moved;
  const { code, message, hint } = errorReport(error);
  return `${moved}; failed: ${message} (${code})${hint === null ? "" : `. ${hint}`}`;
}

/** @param open how many of the conflicts wait for a person. */
export function countsText({ sent, received, conflicts, parked }: LinkCounts, open = 0): string {
  const moved = `${sent} sent, ${received} received, ${plural(conflicts - open, "conflict")} resolved`;
  return [moved, ...(open === 0 ? [] : [`${open} left open`]), ...(parked === 0 ? [] : [`${parked} parked`])].join(", ");
}

function resultJson({ link, counts, error }: LinkResult, open: OpenConflicts): unknown {
  const { parent, child } = link;
  return { parent, child, ...counts, conflicts_open: open.get(child) ?? 0, error: error === undefined ? null : errorReport(error) };
}

/** A `sync` reports by its answer; the log only tells what a person should know. */
function syncObserver(log: Logger, open: OpenConflicts): LinkObserver {
  return {
    applied: ({ source, target, child, kind, receipt }) => {
      log.debug({ source, target, kind, packet: String(receipt.number) }, "packet applied");
      for (const { resolution, count } of receipt.conflicts) if (resolution === "open") open.set(child, (open.get(child) ?? 0) + count);
    },
    caughtUp: () => {},
    failed: ({ parent, child, error }) => log.warn({ parent, child, err: error }, "link failed"),
    recovered: () => {},
    notice: ({ level, message, ...details }) => log[level](details, message),
  };
}
