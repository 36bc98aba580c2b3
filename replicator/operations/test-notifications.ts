import { TomboloError } from "../change/error.ts";
import { testEvent } from "../notify/find-events.ts";
import { targetSender } from "../notify/target-sender.ts";
import { errorReport } from "../observability/describe-error.ts";
import type { NotificationTarget, Topology } from "../topology/topology.ts";

/** What became of a test message. */
export interface NotificationTest {
  readonly target: string;
  readonly type: NotificationTarget["type"];
  readonly outcome: "sent" | "failed";
  readonly error: { readonly code: string; readonly message: string; readonly hint: string | null } | null;
}

/** The targets of the topology, or the one of this name. Throws `NOTIFY_NOT_CONFIGURED`, `TARGET_UNKNOWN` (usage). */
export function notificationTargets(topology: Topology, name?: string): readonly NotificationTarget[] {
  const targets = topology.notifications?.targets ?? [];
  if (targets.length === 0) {
    throw new TomboloError("the topology does not say who is to be told of anything", {
      code: "NOTIFY_NOT_CONFIGURED",
      kind: "usage",
      hint: "Add `notifications` to it; see docs/notifications.md.",
    });
  }
  if (name === undefined) return targets;
  const target = targets.find((each) => each.name === name);
  if (target !== undefined) return [target];
  throw new TomboloError(`the topology has no target ${name}`, {
    code: "TARGET_UNKNOWN",
    kind: "usage",
    hint: `Its targets are ${targets.map((known) => known.name).join(", ")}.`,
  });
}

/** Sends each a test at once: past the outbox, its limit and its choice of events. Never throws; `onError` gets what was caught. */
export async function testNotifications(
  topology: Topology,
  targets: readonly NotificationTarget[],
  now: () => number,
  onError: (error: unknown) => void = () => {},
): Promise<readonly NotificationTest[]> {
  const event = testEvent(topology, now());
  return Promise.all(
    targets.map(async (target): Promise<NotificationTest> => {
      const { name, type } = target;
      try {
        await (await targetSender(target)).send(event, now());
        return { target: name, type, outcome: "sent", error: null };
      } catch (error) {
        onError(error);
        return { target: name, type, outcome: "failed", error: errorReport(error) };
      }
    }),
  );
}
