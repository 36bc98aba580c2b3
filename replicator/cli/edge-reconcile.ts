import { type NodeName, nodeName, tableName } from "../change/names.ts";
import { systemTimers } from "../lifecycle/timers.ts";
import { hubOf } from "../lifecycle/tree.ts";
import type { ReconcileRun } from "../node/reconcile-desk.ts";
import { cancelReconciles, followReconcile } from "../operations/ask-reconcile.ts";
import { groupOfEdge } from "../operations/edge-group.ts";
import { reconcileJson } from "../reconcile/reconcile-report.ts";
import type { Topology } from "../topology/topology.ts";
import { edgeInput, withEdge } from "./edge-input.ts";
import { EXIT, type ExitCode } from "./exit-codes.ts";
import { listenForInterrupt } from "./interrupt.ts";
import { reachedNode, withNodes } from "./nodes-of.ts";
import { oneOf, optionInvalid } from "./option-values.ts";
import { plural } from "./output.ts";
import { reconcileExit, reconcileLines, WHOLE } from "./reconcile-answer.ts";
import { guardOf, scopeOf } from "./reconcile-options.ts";
import { type CommandContext, flag, list, type RunVerb, text, type VerbInput } from "./verb.ts";
import { whoOf } from "./who.ts";

const REPAIRS = ["report", "parent", "newest"] as const;

/** `reconcile --database`: the edge is compared with its hub. */
export const reconcileEdge: RunVerb = async (context, input) => {
  const given = await edgeInput(context, input);
  const repair = oneOf("repair", text(input, "repair") ?? "report", REPAIRS);
  if (["range", "sample", "pace"].some((name) => text(input, name) !== undefined))
    throw optionInvalid("--range, --sample and --pace are for links that are reached directly", "Name tables with --table.");
  const tables = list(input, "table").map(tableName);
  const interrupt = listenForInterrupt();
  try {
    return await withEdge(context, given, async (edge) => {
      const { signal } = interrupt;
      const report = await edge.reconcile({
        ...{ name: "manual", repair, scope: scopeOf(input), guard: guardOf(input), signal },
        tables: tables.length === 0 ? null : tables,
        carry: async () => void (await edge.sync(signal)),
        onProgress: () => {},
      });
      const result = { link: report.ends.link, report, error: undefined };
      if (context.json) context.out.json({ repair, scope: scopeOf(input), links: [reconcileJson(result)] });
      else for (const line of reconcileLines(result, { withLink: false, repaired: repair !== "report" })) context.out.line(line);
      return reconcileExit([result]);
    });
  } finally {
    interrupt.ignore();
  }
};

/** Asks an edge to compare itself with its hub, and tells what comes of it; or takes that back. Null where `link` names no edge. */
export async function reconcileOfEdge(context: CommandContext, input: VerbInput, topology: Topology): Promise<ExitCode | null> {
  const [above, edge, more] = (text(input, "link") ?? "").split("/");
  if (edge === undefined || more !== undefined) return null;
  const parents = topology.nodes.filter((node) => node.name === above || node === hubOf(topology));
  return withNodes(context, parents, async (nodes) => {
    const reach = async (name: NodeName) => reachedNode(nodes, name);
    const group = await groupOfEdge({ topology, tokens: async () => (await reach(hubOf(topology).name)).tokens }, edge);
    if (group === undefined || group.parent !== above) return null;
    if (["range", "sample", "pace", "maxDeletes"].some((name) => text(input, name) !== undefined) || list(input, "table").length > 0)
      throw optionInvalid("an edge is compared as a whole, with the usual guard", "Leave the other options out, or run it at the edge.");
    const repair = oneOf("repair", text(input, "repair") ?? "report", REPAIRS);
    const parent = await reach(group.parent);
    if (flag(input, "cancel")) return cancelled(context, edge, await cancelReconciles(parent, nodeName(edge), whoOf(input)));
    const scope = scopeOf(input);
    const id = await parent.reconciles.request({ name: "manual", peer: nodeName(edge), repair, scope });
    await parent.audit.record({ who: whoOf(input), what: "reconcile asked for", details: { node: edge, repair, scope } });
    context.out.note(`${edge} begins with its next exchange`);
    if (input.options.wait === false) return told(context, { parent: group.parent, edge, run: await parent.reconciles.find(id) });
    const interrupt = listenForInterrupt();
    try {
      const run = await followReconcile(
        parent,
        { id, name: "manual", edge: nodeName(edge) },
        { signal: interrupt.signal, sleep: systemTimers.sleep },
      );
      return told(context, { parent: group.parent, edge, run });
    } finally {
      interrupt.ignore();
    }
  });
}

function told(context: CommandContext, { parent, edge, run }: { parent: string; edge: string; run: ReconcileRun | null }): ExitCode {
  if (run === null) {
    context.out.note(`the record of it is gone: see what ${parent} knows of ${edge} with \`tombolo status\``);
    return EXIT.failed;
  }
  if (context.json) {
    const tables = run.tables.map(({ unsettled, examples, ...table }) => ({
      ...table,
      under_way: unsettled,
      examples: examples.map((key) => JSON.parse(key) as unknown),
    }));
    context.out.json({
      repair: run.repair,
      scope: run.scope,
      links: [{ parent, child: edge, outcome: run.state, tables, error: run.error }],
    });
  } else {
    for (const { table, compared, differing, repaired, scope, whole, error } of run.tables) {
      const rows = scope === "changed" ? plural(compared, "changed row") : `${compared}`;
      const why = whole === null ? "" : ` (all rows: ${WHOLE[whole]})`;
      context.out.line(
        error === null ? `${table}: ${rows} compared, ${differing} differ, ${repaired} repaired${why}` : `${table}: ${error}`,
      );
    }
    if (run.error !== null) context.out.line(`${edge}: ${run.error}`);
    if (run.state === "requested" || run.state === "cancelled") context.out.line(`${edge}: ${run.state}`);
  }
  if (run.state === "requested" || run.state === "clean" || run.state === "repaired") return EXIT.done;
  return run.state === "failed" || run.state === "cancelled" ? EXIT.failed : EXIT.found;
}

function cancelled(context: CommandContext, edge: string, runs: readonly ReconcileRun[]): ExitCode {
  if (context.json) context.out.json({ edge, cancelled: runs.map(({ id, name, state }) => ({ run: id.toString(), name, was: state })) });
  else if (runs.length === 0) context.out.line(`${edge}: nothing is asked of it`);
  for (const { name, state, startedAt } of context.json ? [] : runs)
    context.out.line(`${edge}: cancelled: ${name}, ${state} since ${startedAt}`);
  return EXIT.done;
}
