import { backoff } from "../lifecycle/service.ts";
import type { Timers } from "../lifecycle/timers.ts";
import type { NotificationDesk, NotificationOutcome, WaitingNotification } from "../node/notification-desk.ts";
import { errorLine } from "../observability/describe-error.ts";
import type { Logger } from "../observability/log.ts";
import type { Metrics } from "../observability/metrics.ts";
import type { NotificationTarget, Topology } from "../topology/topology.ts";
import type { NotificationEvent } from "./event.ts";
import { heldBackEvent } from "./find-events.ts";
import type { TargetSender } from "./target.ts";

/** Between two tries of a target that does not take what it is sent. */
const RETRY = { initialMs: 10_000, factor: 2, maxMs: 900_000, jitter: true };

export interface DeliveryOptions {
  readonly topology: Topology;
  readonly target: NotificationTarget;
  readonly sender: TargetSender;
  /** How long a message is tried, ms. */
  readonly keepMs: number;
  readonly desk: NotificationDesk;
  readonly metrics: Pick<Metrics, "notifications" | "notificationsWaiting">;
  readonly log: Logger;
  readonly timers: Pick<Timers, "now" | "random">;
}

/**
 * Brings one target what waits for it, at least once: what was sent is settled afterwards. A target that fails is left alone for a while, longer each time;
 * then the message that was tried least has its turn, so that one which is never taken keeps no other from it.
 */
export class Delivery {
  readonly #options: DeliveryOptions;
  /** The limit is reached, and that has been logged. */
  #isHolding = false;

  constructor(options: DeliveryOptions) {
    this.#options = options;
  }

  /** `all`: what waits for anybody. Throws only what the desk throws. */
  async deliver(all: readonly WaitingNotification[], signal: AbortSignal): Promise<void> {
    const { target, metrics, timers } = this.#options;
    let waiting: readonly WaitingNotification[] = this.#own(all);
    const now = timers.now();
    if (!waiting.some(({ nextAt }) => nextAt !== null && nextAt > now)) waiting = await this.#send(waiting, signal);
    metrics.notificationsWaiting.set({ target: target.name }, waiting.length);
  }

  /** What waits for the target: what was tried least first, and of that the oldest. */
  #own(all: readonly WaitingNotification[]): readonly WaitingNotification[] {
    return all.filter(({ target }) => target === this.#options.target.name).sort((a, b) => a.attempts - b.attempts);
  }

  /** Answers what still waits. */
  async #send(waiting: readonly WaitingNotification[], signal: AbortSignal): Promise<readonly WaitingNotification[]> {
    const { target, desk, timers } = this.#options;
    if (waiting.length === 0) return waiting;
    const { messages, perMs } = target.limit;
    const room = messages - (await desk.sentSince(target.name, timers.now() - perMs));
    if (room < waiting.length && room > 0) return this.#sumUp(waiting, room - 1, signal);
    this.#tell(room <= 0);
    if (room <= 0) return waiting;
    const left = [...waiting];
    while (left.length > 0 && !signal.aborted) {
      if (!(await this.#sendOne(left[0] as WaitingNotification))) break;
      left.shift();
    }
    return left;
  }

  /** There is room for fewer than wait: some go by themselves, and the rest as one. */
  async #sumUp(waiting: readonly WaitingNotification[], alone: number, signal: AbortSignal): Promise<readonly WaitingNotification[]> {
    const { topology, target, desk, metrics, timers, log } = this.#options;
    for (const [at, each] of waiting.slice(0, alone).entries()) {
      if (signal.aborted || !(await this.#sendOne(each))) return waiting.slice(at);
    }
    const rest = waiting.slice(alone);
    const now = timers.now();
    const summary = heldBackEvent(topology, target.name, rest.map(eventOf), now);
    await desk.write({
      enter: [{ target: target.name, eventId: summary.id, event: JSON.stringify(summary), at: now }],
      settle: rest.map(({ id, attempts }) => ({ id, attempts, state: "held_back", nextAt: null, at: now, error: null })),
    });
    metrics.notifications.inc({ target: target.name, outcome: "held_back" }, rest.length);
    log.warn(
      { target: target.name, held_back: rest.length, code: "NOTIFY_HELD_BACK" },
      "events are told by one message: they came faster than the limit",
    );
    const entered = this.#own(await desk.waiting());
    for (const [at, each] of entered.entries()) {
      if (signal.aborted || !(await this.#sendOne(each))) return entered.slice(at);
    }
    return [];
  }

  /** Whether the target has taken it, or it was given up. */
  async #sendOne(waiting: WaitingNotification): Promise<boolean> {
    const { target, sender, desk, metrics, log, timers, keepMs } = this.#options;
    const { id, eventId } = waiting;
    const attempts = waiting.attempts + 1;
    const { event } = eventOf(waiting);
    const about = { target: target.name, event, id: eventId, attempt: attempts };
    const settle = (outcome: Pick<NotificationOutcome, "state" | "nextAt" | "error">): Promise<void> =>
      desk.write({ settle: [{ id, attempts, at: timers.now(), ...outcome }] });
    try {
      await sender.send(eventOf(waiting), timers.now());
    } catch (error) {
      const isOver = timers.now() - waiting.at >= keepMs;
      metrics.notifications.inc({ target: target.name, outcome: isOver ? "dropped" : "failed" });
      const retryInMs = Math.round(backoff(attempts, RETRY, timers));
      if (isOver) log.error({ ...about, err: error }, "a notification is given up");
      // one that stays away is told of now and then, not at every try
      else
        log[attempts <= 3 || attempts % 10 === 0 ? "warn" : "debug"]({ ...about, retryInMs, err: error }, "a notification was not taken");
      const nextAt = isOver ? null : timers.now() + retryInMs;
      await settle({ state: isOver ? "dropped" : "waiting", nextAt, error: errorLine(error) });
      return isOver;
    }
    await settle({ state: "sent", nextAt: null, error: null });
    metrics.notifications.inc({ target: target.name, outcome: "sent" });
    log.info(about, "notification sent");
    return true;
  }

  #tell(isHolding: boolean): void {
    const { target, log } = this.#options;
    if (isHolding && !this.#isHolding)
      log.warn({ target: target.name, code: "NOTIFY_HELD_BACK" }, "the target has had as many messages as its limit allows");
    this.#isHolding = isHolding;
  }
}

const eventOf = ({ event }: WaitingNotification): NotificationEvent => JSON.parse(event) as NotificationEvent;
