import { nodeName } from "../change/names.ts";
import { fullSyncReport } from "../full-sync/full-sync-report.ts";
import { systemTimers } from "../lifecycle/timers.ts";
import { hubOf, linkName } from "../lifecycle/tree.ts";
import type { FullSyncRun, SyncDirection } from "../node/full-sync-runs.ts";
import { askFullSync, cancelFullSyncs, followFullSync } from "../operations/ask-full-sync.ts";
import { groupOfEdge } from "../operations/edge-group.ts";
import type { Topology } from "../topology/topology.ts";
import { edgeInput, withEdge } from "./edge-input.ts";
import { EXIT, type ExitCode } from "./exit-codes.ts";
import { agreed, resultExit, resultLine, tablesOf } from "./full-sync-terms.ts";
import { fullSyncWatcher, progressText } from "./full-sync-watcher.ts";
import { listenForInterrupt } from "./interrupt.ts";
import { reachedNode, withNodes } from "./nodes-of.ts";
import { count, oneOf, optionInvalid } from "./option-values.ts";
import { bytes, plural } from "./output.ts";
import { type CommandContext, flag, type RunVerb, text, type VerbInput } from "./verb.ts";
import { whoOf } from "./who.ts";

/** `full-sync --database`: the edge becomes a copy of what its hub has for it, or the hub takes over what the edge has. */
export const fullSyncEdge: RunVerb = async (context, input) => {
  const direction = directionOf(input);
  if (text(input, "maxDeletes") !== undefined) throw agreedAtHub();
  mustBeUnpaced(input);
  const given = await edgeInput(context, input);
  const interrupt = listenForInterrupt();
  const watcher = fullSyncWatcher(context.out, { ask: !flag(input, "yes") });
  try {
    return await withEdge(context, given, async (edge, { node }) => {
      const asked =
        direction === "pull"
          ? `${node} becomes a copy of what the hub has for it: rows that only ${node} has go, others are replaced, and the conflict history keeps both; changes that ${node} has not sent yet stay. Go on?`
          : `The hub takes over what ${node} has: of the rows that are ${node}'s to change, those that only the hub has go, others are replaced, and its conflict history keeps both. Go on?`;
      if (!(await agreed(context, input, asked))) return EXIT.failed;
      const result = await edge.fullSync({
        direction,
        tables: tablesOf(input),
        resume: flag(input, "resume"),
        backUp: input.options.backup !== false,
        verify: flag(input, "verify"),
        watcher,
        signal: interrupt.signal,
      });
      watcher.end();
      if (context.json) context.out.json(fullSyncReport(result));
      else context.out.line(resultLine(result));
      return resultExit(result);
    });
  } catch (error) {
    watcher.end();
    if (!interrupt.signal.aborted) throw error;
    context.out.note("cancelled: the tables are as they were, and what was copied is gone");
    return EXIT.failed;
  } finally {
    interrupt.ignore();
  }
};

/** Asks an edge to become a copy of its hub, or its hub's source, and tells what comes of it. Null where there is no such edge. */
export const fullSyncOfEdge = (context: CommandContext, input: VerbInput, topology: Topology): Promise<ExitCode | null> =>
  askOfEdge(context, input, { topology, anew: false });

/** The same, after the two have begun anew: their memories of each other no longer agree. */
export const resyncOfEdge = (context: CommandContext, input: VerbInput, topology: Topology): Promise<ExitCode | null> =>
  askOfEdge(context, input, { topology, anew: true });

async function askOfEdge(
  context: CommandContext,
  input: VerbInput,
  { topology, anew }: { readonly topology: Topology; readonly anew: boolean },
): Promise<ExitCode | null> {
  const name = input.args[0] ?? "";
  const parents = topology.nodes.filter((node) => topology.groups.some((group) => group.parent === node.name) || node === hubOf(topology));
  return withNodes(context, parents, async (nodes) => {
    const reach = async (wanted: (typeof parents)[number]["name"]) => reachedNode(nodes, wanted);
    const group = await groupOfEdge({ topology, tokens: async () => (await reach(hubOf(topology).name)).tokens }, name);
    if (group === undefined) return null;
    mustBeUnpaced(input);
    const direction = directionOf(input);
    if (!anew && flag(input, "cancel")) {
      const runs = await cancelFullSyncs(await reach(group.parent), nodeName(name), whoOf(input));
      if (context.json) context.out.json({ edge: name, cancelled: runs.map(({ id, state }) => ({ run: id.toString(), was: state })) });
      else if (runs.length === 0) context.out.line(`${name}: nothing is asked of it`);
      else for (const { state, startedAt } of runs) context.out.line(`${name}: cancelled: ${state} since ${startedAt}`);
      return EXIT.done;
    }
    const first = anew ? `${group.parent} and ${name} begin anew, and ` : "";
    const asked =
      direction === "pull"
        ? `${first}${name} becomes a copy of what ${group.parent} has for it: rows that only ${name} has go, others are replaced, and its conflict history keeps both; changes that it has not sent yet stay. Go on?`
        : `${first}${group.parent} takes over what ${name} has: of the rows that are ${name}'s to change, those that only ${group.parent} has go, others are replaced, and the conflict history keeps both. Nothing is changed where more rows would go than --max-deletes says. Go on?`;
    if (!(await agreed(context, input, asked))) return EXIT.failed;
    const parent = await reach(group.parent);
    const given = text(input, "maxDeletes");
    const terms = {
      ...(given !== undefined && { mayRemove: count("max-deletes", given, Number.MAX_SAFE_INTEGER) }),
      ...(flag(input, "verify") && { verify: true }),
      ...(anew && { anew }),
    };
    const id = await askFullSync(parent, { topology, group, edge: name, tables: tablesOf(input), who: whoOf(input), direction, terms });
    context.out.note(`${name} begins with its next exchange`);
    const run = input.options.wait === false ? await parent.copies.runs.find(id) : await follow(context, parent, id);
    if (context.json) context.out.json(runJson(linkName({ parent: group.parent, child: name }), run));
    else if (run !== null) context.out.line(runLine(name, run));
    if (run !== null && input.options.wait === false) return EXIT.done;
    return run?.state === "done" ? doneExit(run) : EXIT.failed;
  });
}

async function follow(context: CommandContext, parent: Parameters<typeof followFullSync>[0], id: bigint): Promise<FullSyncRun | null> {
  const interrupt = listenForInterrupt();
  let shown = "";
  try {
    return await followFullSync(parent, id, {
      signal: interrupt.signal,
      sleep: systemTimers.sleep,
      onProgress(run) {
        const now = run.state === "running" ? progressText({ ...run, rate: 0, secondsLeft: null }) : run.state;
        if (now !== shown) context.out.note(now);
        shown = now;
      },
    });
  } finally {
    interrupt.ignore();
  }
}

const runJson = (link: string, run: FullSyncRun | null): object => ({
  link,
  run: run?.id.toString() ?? null,
  state: run?.state ?? null,
  tables: run?.tables ?? [],
  rows: run?.rows ?? 0,
  bytes: run?.bytes ?? 0,
  // as of one that is run from here
  differences: run?.differing ?? null,
  error: run?.error ?? null,
});

/** As of a full sync that is run from here: see `resultExit`. */
function doneExit({ terms, differing }: FullSyncRun): ExitCode {
  if (terms.verify === true && differing === null) return EXIT.failed;
  return (differing ?? 0) > 0 ? EXIT.found : EXIT.done;
}

function runLine(edge: string, { state, rows, bytes: size, terms, differing, error }: FullSyncRun): string {
  if (state === "done") {
    const equal = differing === 0 ? "; compared: equal" : `; compared: ${plural(differing ?? 0, "row")} differ`;
    const compared = differing === null ? (terms.verify === true ? `; not compared${error === null ? "" : `: ${error}`}` : "") : equal;
    return `${edge}: ${plural(rows, "row")} copied (${bytes(size)})${compared}`;
  }
  return error === null ? `${edge}: ${state}` : `${edge}: ${state}: ${error}`;
}

const directionOf = (input: VerbInput): SyncDirection => oneOf("direction", text(input, "direction") ?? "pull", ["pull", "push"] as const);

function mustBeUnpaced(input: VerbInput): void {
  if (text(input, "pace") === undefined) return;
  throw optionInvalid("--pace is for links that are reached directly", "Leave it out: an edge copies at the rate of its line.");
}

const agreedAtHub = () =>
  optionInvalid(
    "how many rows of the hub may go is not the edge's to say",
    "Ask for it at the hub: `tombolo full-sync EDGE --direction push --max-deletes N`.",
  );
