import { hubStatus } from "../edge/hub-answers.ts";
import { describeError, errorReport } from "../observability/describe-error.ts";
import { edgeInput, withEdge } from "./edge-input.ts";
import { EXIT, exitCodeOf } from "./exit-codes.ts";
import { listenForInterrupt } from "./interrupt.ts";
import { countsText } from "./sync.ts";
import type { RunVerb } from "./verb.ts";

/** `sync --database`: exchanges with the hub until nothing is pending. */
export const syncEdge: RunVerb = async (context, input) => {
  const given = await edgeInput(context, input);
  const interrupt = listenForInterrupt();
  try {
    return await withEdge(context, given, async (edge, { node }) => {
      const { open, ...counts } = await edge.sync(interrupt.signal);
      const parent = edge.parent ?? null;
      if (context.json) context.out.json({ links: [{ parent, child: node, ...counts, conflicts_open: open, error: null }] });
      else context.out.line(`${node}: ${countsText(counts, open)}`);
      return EXIT.done;
    });
  } finally {
    interrupt.ignore();
  }
};

/** `status --database`: what waits on either side; changes nothing, and works without the hub. */
export const statusEdge: RunVerb = async (context, input) => {
  const given = await edgeInput(context, input);
  return withEdge(context, given, async (edge, { node, hub }) => {
    const parent = await edge.ofParent();
    let told: Awaited<ReturnType<typeof hubStatus>> | null = null;
    let failure: unknown;
    try {
      told = await hubStatus(edge.client, node);
    } catch (error) {
      failure = error;
    }
    const report = {
      node,
      hub,
      state: told === null ? "offline" : "online",
      pending_up: parent?.pendingChanges ?? null,
      pending_down: told?.pending_changes ?? null,
      parked_here: parent?.parkedChanges ?? null,
      parked_at_hub: told?.parked_changes ?? parent?.refusedChanges ?? null,
      conflicts_open: told?.open_conflicts ?? null,
      last_in: parent?.lastSyncIn ?? null,
      last_out: parent?.lastSyncOut ?? null,
      error: failure === undefined ? null : errorReport(failure),
    };
    if (context.json) context.out.json(report);
    else {
      const shown = (value: number | string | null): string => (value === null ? "unknown" : String(value));
      context.out.line(`${node}: ${report.state}${failure === undefined ? "" : `: ${describeError(failure).message}`}`);
      context.out.line(`${shown(report.pending_up)} to send, ${shown(report.pending_down)} to receive`);
      context.out.line(
        `${shown(report.parked_here)} parked here, ${shown(report.parked_at_hub)} at the hub, ${shown(report.conflicts_open)} conflicts open`,
      );
      context.out.line(`last received ${report.last_in ?? "never"}, last sent ${report.last_out ?? "never"}`);
    }
    return failure === undefined ? EXIT.done : exitCodeOf(failure);
  });
};
