import { systemTimers } from "../lifecycle/timers.ts";
import { hubOf } from "../lifecycle/tree.ts";
import type { WaitingNotification } from "../node/notification-desk.ts";
import type { NotificationTest } from "../operations/test-notifications.ts";
import type { NotificationTarget } from "../topology/topology.ts";
import { EXIT, exitCodeOf, worst } from "./exit-codes.ts";
import { reachedNode, withNodes } from "./nodes-of.ts";
import { duration, plural } from "./output.ts";
import { requireTopology } from "./topology-file.ts";
import { flag, type RunVerb, text } from "./verb.ts";

/** `--test` sends each target a message now; without it, what waits for each. */
export const notify: RunVerb = async (context, input) => {
  const topology = await requireTopology(context);
  const { notificationTargets, testNotifications } = await import("../operations/test-notifications.ts");
  const targets = notificationTargets(topology, text(input, "target"));
  const { now } = systemTimers;
  if (flag(input, "test")) {
    const errors: unknown[] = [];
    const results = await testNotifications(topology, targets, now, (error) => errors.push(error));
    if (context.json) context.out.json({ results });
    else for (const result of results) context.out.line(testLine(result));
    return worst([EXIT.done, ...errors.map(exitCodeOf)]);
  }
  const hub = hubOf(topology);
  return withNodes(context, [hub], async (nodes) => {
    const waiting = await reachedNode(nodes, hub.name).notifications.waiting();
    const reports = targets.map((target) => waitingReport(target, waiting));
    if (context.json) context.out.json({ targets: reports });
    else for (const report of reports) context.out.line(waitingLine(report, now()));
    return EXIT.done;
  });
};

const testLine = ({ target, type, outcome, error }: NotificationTest): string =>
  error === null
    ? `${target} (${type}): ${outcome}`
    : `${target} (${type}): ${error.message} (${error.code}). ${error.hint ?? ""}`.trimEnd();

interface WaitingReport {
  readonly target: string;
  readonly type: NotificationTarget["type"];
  readonly waiting: number;
  /** RFC 3339; null where nothing waits. */
  readonly oldest_at: string | null;
  readonly last_error: string | null;
}

function waitingReport({ name, type }: NotificationTarget, all: readonly WaitingNotification[]): WaitingReport {
  const waiting = all.filter(({ target }) => target === name);
  const oldest = waiting[0];
  return {
    ...{ target: name, type, waiting: waiting.length },
    oldest_at: oldest === undefined ? null : new Date(oldest.at).toISOString(),
    last_error: waiting.find(({ lastError }) => lastError !== null)?.lastError ?? null,
  };
}

function waitingLine({ target, type, waiting, oldest_at, last_error }: WaitingReport, now: number): string {
  if (oldest_at === null) return `${target} (${type}): nothing waits`;
  const age = duration(Math.max(0, now - Date.parse(oldest_at)) / 1000);
  return `${target} (${type}): ${plural(waiting, "message")} ${waiting === 1 ? "waits" : "wait"}, the oldest for ${age}${last_error === null ? "" : `; ${last_error}`}`;
}
