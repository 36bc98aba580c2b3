import { TomboloError } from "../change/error.ts";
import { fullSyncReport } from "../full-sync/full-sync-report.ts";
import { linkAbove, nodeOf } from "../lifecycle/tree.ts";
import type { SyncDirection } from "../node/full-sync-runs.ts";
import type { Topology, TopologyLink } from "../topology/topology.ts";
import { EXIT, type ExitCode } from "./exit-codes.ts";
import { agreed, resultExit, resultLine, tablesOf } from "./full-sync-terms.ts";
import { fullSyncWatcher } from "./full-sync-watcher.ts";
import { listenForInterrupt } from "./interrupt.ts";
import { reachedNode, withNodes } from "./nodes-of.ts";
import { count, oneOf, optionInvalid } from "./option-values.ts";
import { requireTopology } from "./topology-file.ts";
import { type CommandContext, flag, type RunVerb, text, type VerbInput } from "./verb.ts";

export const fullSync: RunVerb = async (context, input) => {
  const topology = await requireTopology(context);
  const name = input.args[0] ?? "";
  if (topology.groups.length > 0 && topology.nodes.every((node) => node.name !== name)) {
    const code = await (await import("./edge-full-sync.ts")).fullSyncOfEdge(context, input, topology);
    if (code !== null) return code;
  }
  if (flag(input, "cancel")) throw optionInvalid("--cancel is about an edge", "Name one; Ctrl-C cancels what a command itself copies.");
  const link = linkOf(topology, name);
  const direction = oneOf("direction", text(input, "direction") ?? "pull", ["pull", "push"] as const);
  if (!(await agreed(context, input, question(link, direction)))) return EXIT.failed;
  return synchronise(context, input, { topology, link, direction });
};

/** Runs a full sync until it is done or Ctrl-C cancels it, and tells what came of it. */
export async function synchronise(
  context: CommandContext,
  input: VerbInput,
  sync: { readonly topology: Topology; readonly link: TopologyLink; readonly direction: SyncDirection },
): Promise<ExitCode> {
  const { topology, link, direction } = sync;
  const pace = text(input, "pace");
  const interrupt = listenForInterrupt();
  const watcher = fullSyncWatcher(context.out, { ask: !flag(input, "yes") });
  try {
    const configs = [nodeOf(topology, link.parent), nodeOf(topology, link.child)];
    const result = await withNodes(context, configs, (nodes) =>
      context.parts.fullSync({
        parent: reachedNode(nodes, link.parent),
        child: reachedNode(nodes, link.child),
        link,
        topology,
        direction,
        tables: tablesOf(input),
        resume: flag(input, "resume"),
        verify: flag(input, "verify"),
        backUp: input.options.backup !== false,
        ...(pace !== undefined && { pace: count("pace", pace, 100) }),
        watcher,
        signal: interrupt.signal,
      }),
    );
    watcher.end();
    if (context.json) context.out.json(fullSyncReport(result));
    else context.out.line(resultLine(result));
    return resultExit(result);
  } catch (error) {
    watcher.end();
    if (!interrupt.signal.aborted) throw error;
    context.out.note("cancelled: the tables are as they were, and what was copied is gone");
    return EXIT.failed;
  } finally {
    interrupt.ignore();
  }
}

export function linkOf(topology: Topology, name: string): TopologyLink {
  const link = linkAbove(topology, nodeOf(topology, name).name);
  if (link !== undefined) return link;
  throw new TomboloError(`${name} is the hub: it has no parent to be synchronised with`, {
    code: "NODE_IS_HUB",
    kind: "usage",
    hint: "Name the child; --direction push makes the hub take over what the child has.",
  });
}

const question = ({ parent, child }: TopologyLink, direction: SyncDirection): string =>
  direction === "pull"
    ? `${child} becomes a copy of ${parent}: rows that only ${child} has go, others are replaced, and the conflict history keeps both; changes that ${child} has not sent yet stay. Go on?`
    : `${parent} takes over what ${child} has: rows that only ${parent} has go, others are replaced, and the conflict history keeps both; changes of ${parent} that ${child} has not received yet stay. Go on?`;
