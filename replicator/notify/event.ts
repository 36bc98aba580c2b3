import { createHash } from "node:crypto";
import type { NotifiedEvent, TemplateField } from "../topology/notification-fields.ts";

export type Severity = "info" | "warning" | "critical";

/** Something that people are told: names, counts and codes, never values of rows. */
export interface NotificationEvent {
  /** The same whoever finds it, and however often. */
  readonly id: string;
  readonly event: NotifiedEvent | "held_back" | "test";
  readonly severity: Severity;
  /** RFC 3339, UTC. */
  readonly occurred_at: string;
  readonly topology: string;
  /** One sentence. */
  readonly summary: string;
  readonly remedy: string;
  readonly details: EventDetails;
  /** Of `held_back`: some of those that it stands for, oldest first. */
  readonly events?: readonly Pick<NotificationEvent, "id" | "event" | "occurred_at" | "summary">[];
}

/** What a template calls by these names; what an event does not have is missing. */
export type EventDetails = {
  readonly [F in Exclude<
    TemplateField,
    "id" | "event" | "severity" | "occurred_at" | "topology" | "summary" | "details" | "remedy"
  >]?: string;
};

/** An id that says nothing, made of what tells an event from all others. */
export const eventId = (...parts: readonly string[]): string =>
  createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 32);
