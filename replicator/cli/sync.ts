import { TomboloError } from "../change/error.ts";
import { openExamined } from "../lifecycle/preflight.ts";
import { linkName } from "../lifecycle/tree.ts";
import type { LinkCounts, LinkObserver } from "../link/link.ts";
import type { Logger } from "../observability/log.ts";
import type { Topology, TopologyLink } from "../topology/topology.ts";
import { whileNobodyReplicates } from "./exclusive.ts";
import { EXIT, exitCodeOf, worst } from "./exit-codes.ts";
import { errorJson, withNodes } from "./nodes-of.ts";
import { plural } from "./output.ts";
import { type LinkResult, syncLinks } from "./sync-links.ts";
import { requireRunnableTopology } from "./topology-file.ts";
import { text, type Verb } from "./verb.ts";

export const sync: Verb = {
  name: "sync",
  summary: "one round both ways over all links until nothing is pending, then end",
  options: [{ flags: "--link <parent/child>", description: "only this link" }],
  examples: ["tombolo sync", "tombolo sync --link hub/store-1 --json"],
  async run(context, input) {
    const topology = await requireRunnableTopology(context);
    const links = chosenLinks(topology, text(input, "link"));
    const names = new Set(links.flatMap(({ parent, child }) => [parent, child]));
    const configs = topology.nodes.filter(({ name }) => names.has(name));
    const interrupt = new AbortController();
    const stop = () => (interrupt.signal.aborted ? process.exit(EXIT.failed) : interrupt.abort());
    process.on("SIGINT", stop).on("SIGTERM", stop);
    try {
      const results = await whileNobodyReplicates(context, topology, "sync", () =>
        withNodes(
          context,
          configs,
          (nodes) =>
            syncLinks({ topology, links, nodes, parts: context.parts, observer: logObserver(context.log), signal: interrupt.signal }),
          (config) => openExamined({ parts: context.parts, config, topology, log: context.log }),
        ),
      );
      if (context.json) context.out.json({ links: results.map(resultJson) });
      else for (const result of results) context.out.line(resultLine(result));
      if (interrupt.signal.aborted) context.out.note("interrupted: what was not sent is sent next time");
      return worst([
        ...results.map(({ error }) => (error === undefined ? EXIT.done : exitCodeOf(error))),
        ...(interrupt.signal.aborted ? [EXIT.failed] : []),
      ]);
    } finally {
      process.off("SIGINT", stop).off("SIGTERM", stop);
    }
  },
};

function chosenLinks(topology: Topology, name: string | undefined): readonly TopologyLink[] {
  if (name === undefined) return topology.links;
  const link = topology.links.find((candidate) => linkName(candidate) === name);
  if (link !== undefined) return [link];
  throw new TomboloError(`the topology has no link ${name}`, {
    code: "LINK_UNKNOWN",
    kind: "usage",
    hint: `Its links are ${topology.links.map(linkName).join(", ")}.`,
  });
}

function resultLine({ link, counts, error }: LinkResult): string {
  if (error === undefined) return `${link.child}: ${countsText(counts)}`;
  const { code, message, hint } = errorJson(error);
  return `${link.child}: ${countsText(counts)}; failed: ${message} (${code})${hint === null ? "" : `. ${hint}`}`;
}

export function countsText({ sent, received, conflicts, parked }: LinkCounts): string {
  const moved = `${sent} sent, ${received} received, ${plural(conflicts, "conflict")} resolved`;
  return parked === 0 ? moved : `${moved}, ${parked} parked`;
}

function resultJson({ link, counts, error }: LinkResult): unknown {
  return { parent: link.parent, child: link.child, ...counts, error: error === undefined ? null : errorJson(error) };
}

/** A `sync` reports by its answer; the log only tells what a person should know. */
function logObserver(log: Logger): LinkObserver {
  return {
    applied: ({ source, target, kind, receipt }) => log.debug({ source, target, kind, packet: String(receipt.number) }, "packet applied"),
    caughtUp: () => {},
    failed: ({ parent, child, error }) => log.warn({ parent, child, err: error }, "link failed"),
    recovered: () => {},
    notice: ({ level, message, ...details }) => log[level](details, message),
  };
}
