import { type FullSyncRun, isGone } from "../node/full-sync-runs.ts";
import { type ReconcileRun, totals } from "../node/reconcile-desk.ts";
import type { Topology } from "../topology/topology.ts";
import { type EventDetails, eventId, type NotificationEvent } from "./event.ts";

type Found = Pick<NotificationEvent, "event" | "severity" | "summary" | "remedy"> & { readonly details: EventDetails };

/** A process that has said nothing for so long does not go on with its full sync; an edge may be away for a while. */
export const SILENT_SECONDS = 300;

const count = (rows: number, noun: string): string => `${rows} ${noun}${rows === 1 ? "" : "s"}`;

/** Without what is not known. */
function known(details: { readonly [name: string]: string | number | null | undefined }): EventDetails {
  const entries = Object.entries(details).flatMap(([name, value]) => (value == null || value === "" ? [] : [[name, String(value)]]));
  return Object.fromEntries(entries);
}

/**
 * The event that a full sync is, as one of its ends keeps it; null while it goes on, and for one that a person cancelled. It is told by its target, or by
 * its source where the target is out of reach.
 */
export function fullSyncEvent(topology: Topology, node: string, run: FullSyncRun): NotificationEvent | null {
  const isOurs = run.side === "target" || !topology.nodes.some(({ name }) => name === run.peer);
  const end = endOf(run);
  if (!isOurs || end === null) return null;
  const [source, target] = run.side === "target" ? [run.peer, node] : [node, run.peer];
  const child = run.direction === "pull" ? target : source;
  const about = {
    ...{ node: target, peer: source, direction: run.direction, outcome: end, rows: run.rows, differing: run.differing },
    ...{ started_at: run.startedAt, finished_at: run.finishedAt, error: end === "done" ? null : run.error },
  };
  const found: Found =
    end === "done"
      ? {
          ...{ event: "full_sync_completed", severity: run.differing ? "warning" : "info", details: known(about) },
          summary: `the full sync of ${target} from ${source} completed: ${count(run.rows, "row")}${compared(run)}`,
          remedy: run.differing
            ? `Run \`tombolo reconcile --link ${run.direction === "pull" ? `${source}/${target}` : `${target}/${source}`}\`.`
            : "Nothing is to be done.",
        }
      : {
          ...{ event: "full_sync_failed", severity: "critical", details: known(about) },
          summary: `the full sync of ${target} from ${source} ${end === "interrupted" ? "was interrupted" : "failed"} after ${count(run.rows, "row")}`,
          remedy: `See \`tombolo status\`, then run \`tombolo full-sync ${child}${run.direction === "push" ? " --direction push" : ""} --resume\`.`,
        };
  // one that was taken up again, and ended again, is another event
  const time = end === "interrupted" ? String(run.rows) : (run.finishedAt ?? "");
  return {
    id: eventId(topology.name, "full_sync", node, run.id.toString(), run.startedAt, end, time),
    ...{ occurred_at: run.finishedAt ?? run.startedAt, topology: topology.name, ...found },
  };
}

const compared = ({ differing, terms }: FullSyncRun): string => {
  if (differing !== null) return differing === 0 ? ", equal on both sides" : `, and ${count(differing, "row")} differed afterwards`;
  return terms.verify === true ? ", not compared afterwards" : "";
};

function endOf(run: FullSyncRun): "done" | "failed" | "interrupted" | null {
  const { state, holder, silentSeconds = 0 } = run;
  if (state === "done" || state === "failed" || state === "interrupted") return state;
  // how long it has been silent is not for this machine's processes to say: whether they live is
  return state === "running" && (silentSeconds > SILENT_SECONDS || isGone(holder, 0)) ? "interrupted" : null;
}

/** The event that a comparison is, as the parent keeps it; null while it goes on. */
export function reconcileEvent(topology: Topology, node: string, run: ReconcileRun): NotificationEvent | null {
  if (run.state === "running" || run.state === "requested" || run.state === "cancelled") return null;
  const { compared, differing, repaired } = totals(run.tables);
  const link = `${node}/${run.peer}`;
  const what = run.name === "manual" ? `a reconcile of ${link} by hand` : `the reconcile ${run.name} of ${link}`;
  const errors = [...new Set([run.error, ...run.tables.map(({ error }) => error)])].filter((error) => error !== null);
  const details = known({
    ...{ node, peer: run.peer, schedule: run.name, outcome: run.state, compared, differing, repaired },
    ...{ started_at: run.startedAt, finished_at: run.finishedAt, error: errors.join(", ") },
  });
  return {
    id: eventId(topology.name, "reconcile", node, run.id.toString(), run.startedAt, run.state),
    ...{ occurred_at: run.finishedAt ?? run.startedAt, topology: topology.name, details },
    ...reconcileFound(run, { what, link, differing, repaired, compared }),
  };
}

function reconcileFound(
  { state }: ReconcileRun,
  { what, link, compared, differing, repaired }: { what: string; link: string; compared: number; differing: number; repaired: number },
): Omit<Found, "details"> {
  const command = `tombolo reconcile --link ${link}`;
  if (state === "clean") {
    const summary = `${what} found ${count(compared, "row")} equal`;
    return { event: "reconcile_completed", severity: "info", summary, remedy: "Nothing is to be done." };
  }
  if (state === "repaired") {
    const summary = `${what} found ${count(differing, "row")} different and made ${repaired} equal`;
    const remedy = "Find out who writes past the capture: a disabled trigger, a restored backup, a bulk load.";
    return { event: "reconcile_drift", severity: "warning", summary, remedy };
  }
  if (state === "drift") {
    const summary = `${what} found ${count(differing, "row")} different and left ${differing - repaired} so`;
    return {
      event: "reconcile_drift",
      severity: "critical",
      summary,
      remedy: `Look at the keys in its record, then run \`${command} --repair parent\`.`,
    };
  }
  if (state === "stopped") {
    const summary = `${what} stopped before a repair that would delete too much`;
    return {
      event: "reconcile_failed",
      severity: "critical",
      summary,
      remedy: `Look at what differs; where so many deletes are meant, \`${command} --repair parent --max-deletes N\`.`,
    };
  }
  const remedy = "docs/errors.md explains the code; the log has the whole.";
  return { event: "reconcile_failed", severity: "critical", summary: `${what} failed`, remedy };
}

/** A child that its parent has left behind. `since`: when that was first seen. */
export function mustResyncEvent(
  topology: Topology,
  parent: string,
  child: string,
  reason: string | null,
  since: number,
): NotificationEvent {
  const occurredAt = new Date(since).toISOString();
  return {
    id: eventId(topology.name, "must_resync", parent, child, occurredAt),
    ...{ event: "must_resync", severity: "critical", occurred_at: occurredAt, topology: topology.name },
    summary: `${child} must be filled anew: it fell behind what ${parent} keeps, or is not the database that it was`,
    remedy: `Run \`tombolo nodes resync ${child}\` when it is back; see docs/full-sync.md.`,
    details: known({ node: child, peer: parent, outcome: reason }),
  };
}

/** More conflicts of a node wait for a person than the topology says. */
export function conflictsEvent(topology: Topology, node: string, conflicts: number, since: number): NotificationEvent {
  const occurredAt = new Date(since).toISOString();
  const threshold = topology.notifications?.openConflicts ?? 0;
  return {
    id: eventId(topology.name, "conflicts_open", node, occurredAt),
    ...{ event: "conflicts_open", severity: "warning", occurred_at: occurredAt, topology: topology.name },
    summary: `${count(conflicts, "conflict")} ${conflicts === 1 ? "waits" : "wait"} for a person at ${node}`,
    remedy: "See `tombolo conflicts list --open`, and decide them.",
    details: known({ node, conflicts, threshold }),
  };
}

/** What is sent to find out whether a target is reached. */
export function testEvent(topology: Topology, now: number): NotificationEvent {
  const occurredAt = new Date(now).toISOString();
  return {
    id: eventId(topology.name, "test", occurredAt),
    ...{ event: "test", severity: "info", occurred_at: occurredAt, topology: topology.name },
    summary: "a test of the notifications",
    remedy: "Nothing is to be done.",
    details: {},
  };
}

/** So many of those that a summary stands for are listed. */
const LISTED = 50;

/** One message in place of those that a target's limit has held back. */
export function heldBackEvent(topology: Topology, target: string, events: readonly NotificationEvent[], now: number): NotificationEvent {
  const counts = new Map<string, number>();
  for (const { event, details } of events) {
    const more = event === "held_back" ? Number(details.held_back) : 1;
    counts.set(event, (counts.get(event) ?? 0) + more);
  }
  const total = [...counts.values()].reduce((sum, each) => sum + each, 0);
  const listed = [...counts].sort((a, b) => b[1] - a[1]).map(([event, times]) => `${times} ${event}`);
  const severity = (["critical", "warning"] as const).find((each) => events.some((event) => event.severity === each)) ?? "info";
  return {
    id: eventId(topology.name, "held_back", target, ...events.map(({ id }) => id)),
    ...{ event: "held_back", severity, occurred_at: new Date(now).toISOString(), topology: topology.name },
    summary: `${total} events came faster than the limit of this target: ${listed.join(", ")}`,
    remedy: "Each is in the list, the oldest first; `tombolo status` says how things are now.",
    details: { held_back: String(total) },
    events: events.slice(0, LISTED).map(({ id, event, occurred_at, summary }) => ({ id, event, occurred_at, summary })),
  };
}
