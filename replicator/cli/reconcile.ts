import type { NodeName } from "../change/names.ts";
import { acquireLease, type LeaseHold } from "../lifecycle/lease.ts";
import { systemTimers } from "../lifecycle/timers.ts";
import { hubOf, linkName } from "../lifecycle/tree.ts";
import type { LinkObserver } from "../link/link.ts";
import type { DirectLink } from "../reconcile/compared-link.ts";
import { reconcileLinks } from "../reconcile/reconcile-links.ts";
import { reconcileJson } from "../reconcile/reconcile-report.ts";
import type { Topology } from "../topology/topology.ts";
import { EXIT, worst } from "./exit-codes.ts";
import { listenForInterrupt } from "./interrupt.ts";
import { reachedNode, withNodes } from "./nodes-of.ts";
import { optionInvalid } from "./option-values.ts";
import { plural } from "./output.ts";
import { reconcileExit, reconcileLines } from "./reconcile-answer.ts";
import { reconcileChoice } from "./reconcile-options.ts";
import { requireTopology } from "./topology-file.ts";
import { type CommandContext, flag, type RunVerb, text } from "./verb.ts";

const PROGRESS_EVERY_MS = 2_000;

export const reconcile: RunVerb = async (context, input) => {
  const topology = await requireTopology(context);
  const asked = text(input, "link");
  if (topology.groups.length > 0 && asked !== undefined && topology.links.every((link) => linkName(link) !== asked)) {
    const code = await (await import("./edge-reconcile.ts")).reconcileOfEdge(context, input, topology);
    if (code !== null) return code;
  }
  if (flag(input, "cancel"))
    throw optionInvalid("--cancel is about an edge", "Name it with --link HUB/EDGE; Ctrl-C cancels what a command itself compares.");
  const choice = reconcileChoice(topology, input);
  const names = new Set<NodeName>(choice.links.flatMap(({ parent, child }) => [parent, child]));
  const configs = topology.nodes.filter(({ name }) => names.has(name));
  const interrupt = listenForInterrupt();
  // nothing is written to the tables without it; with it, repairs travel at once
  const hold = choice.repair === "report" ? null : await leaseIfFree(context, topology);
  const withLink = choice.links.length > 1;
  const repaired = choice.repair !== "report";
  try {
    const results = await withNodes(context, configs, (nodes) =>
      reconcileLinks({
        ...choice,
        name: "manual",
        topology,
        node: async (name) => reachedNode(nodes, name),
        carry: (ends) => (hold === null ? Promise.resolve() : carry(context, ends, interrupt.signal)),
        signal: interrupt.signal,
        sleep: systemTimers.sleep,
        now: systemTimers.now,
        onProgress: progress(context),
        onReport: (result) => {
          if (!context.json) for (const line of reconcileLines(result, { withLink, repaired })) context.out.line(line);
        },
      }),
    );
    if (context.json) context.out.json({ repair: choice.repair, scope: choice.scope, links: results.map(reconcileJson) });
    const underWay = results.flatMap(({ report }) => report?.tables ?? []).reduce((sum, { unsettled }) => sum + unsettled, 0);
    if (underWay > 0) context.out.note(`${plural(underWay, "row")} under way: compare again once they have arrived`);
    if (interrupt.signal.aborted) context.out.note("interrupted");
    return interrupt.signal.aborted ? worst([reconcileExit(results), EXIT.failed]) : reconcileExit(results);
  } finally {
    interrupt.ignore();
    await hold?.release();
  }
};

/** Null where another process replicates, which then carries what is repaired. */
function leaseIfFree(context: CommandContext, topology: Topology): Promise<LeaseHold | null> {
  const hubAway = new AbortController();
  return context.parts.leaseStore(hubOf(topology), topology.name).then((store) =>
    acquireLease(store, hubAway.signal, {
      timers: systemTimers,
      purpose: "sync",
      stopWhenHeld: true,
      onWait: ({ holder }) => context.out.note(`repairs are carried by ${holder}`),
      onError: () => hubAway.abort(),
    }),
  );
}

async function carry(context: CommandContext, { parent, child, link, topology }: DirectLink, signal: AbortSignal): Promise<void> {
  const made = await context.parts.createLink({ parent, child, link, topology, observer: noticesOnly(await context.logger()) });
  await made.sync(signal);
}

const noticesOnly = (log: Awaited<ReturnType<CommandContext["logger"]>>): LinkObserver => ({
  applied: () => {},
  caughtUp: () => {},
  failed: () => {},
  recovered: () => {},
  notice: ({ level, message, ...details }) => log[level](details, message),
});

/** A line now and then while a large table is compared. */
function progress({ out }: CommandContext): (ends: DirectLink, table: string, rows: number) => void {
  let toldAt = Date.now();
  return ({ link }, table, rows) => {
    if (Date.now() - toldAt < PROGRESS_EVERY_MS) return;
    toldAt = Date.now();
    out.note(`${linkName(link)} ${table}: ${rows} rows compared so far`);
  };
}
