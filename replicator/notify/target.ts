import type { NotificationEvent } from "./event.ts";

/** Tells one target. */
export interface TargetSender {
  /**
   * Resolves when the target has taken the message. Throws `NOTIFY_UNREACHABLE`, `NOTIFY_TIMEOUT` (connect), `NOTIFY_REFUSED`, `NOTIFY_TLS` (operator).
   * Whether it has it after an error nobody knows: the same event has the same id.
   */
  send(event: NotificationEvent, now: number): Promise<void>;
}
