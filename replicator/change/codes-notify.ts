import type { CodeRow } from "./code-row.ts";

/** Telling people. */
export const NOTIFY_CODES: readonly CodeRow[] = [
  [
    "NOTIFY_HELD_BACK",
    "notice",
    "A target is to get more messages than its limit allows.",
    "See what happens so often; what was held back comes as one message that lists it.",
  ],
  [
    "NOTIFY_NOT_CONFIGURED",
    "usage",
    "The topology names nobody who is to be told.",
    "Add `notifications` to it; see docs/notifications.md.",
  ],
  [
    "NOTIFY_REFUSED",
    "operator",
    "A target answers that it does not take a message. It is tried again until `notifications.keep` is over.",
    "See the target's own log; correct its address, its secret, its login or its template.",
  ],
  ["NOTIFY_TIMEOUT", "connect", "A target has not taken a message in time.", "See whether it is overloaded, or raise its `timeout`."],
  ["NOTIFY_TLS", "operator", "A target cannot be spoken to by TLS.", "Check its certificate, and `tls` and `ca` of the target."],
  ["NOTIFY_UNREACHABLE", "connect", "A target cannot be reached.", "Check its address; messages wait meanwhile."],
  ["TARGET_UNKNOWN", "usage", "The topology has no target of notifications of this name.", "Give one that the hint lists."],
];
