import { fillTemplate, inJson, TEMPLATE_FIELDS, type TemplateField, type TemplateValues } from "../topology/notification-fields.ts";
import type { EmailTarget, WebhookTarget } from "../topology/topology.ts";
import type { NotificationEvent } from "./event.ts";

const SUBJECT = "[tombolo {{topology}}] {{summary}}";
const BODY = `{{summary}}

{{details}}

What to do: {{remedy}}

{{severity}} {{event}} at {{occurred_at}}, id {{id}}
`;

/** The fields of docs/notifications.md, as this event has them. */
export function templateValues({ details, events = [], ...event }: NotificationEvent): TemplateValues {
  const lines = [
    ...Object.entries(details).map(([name, value]) => `${name}: ${value}`),
    ...events.map(({ occurred_at, event: name, summary }) => `${occurred_at} ${name}: ${summary}`),
  ];
  const all: { readonly [F in TemplateField]?: string } = { ...details, ...event, details: lines.join("\n") };
  return Object.fromEntries((Object.keys(TEMPLATE_FIELDS) as TemplateField[]).map((field) => [field, all[field] ?? ""])) as TemplateValues;
}

/** What is posted: the event as JSON, or the target's template with its fields put in. */
export const webhookBody = (event: NotificationEvent, { body }: Pick<WebhookTarget, "body">): string =>
  body === null ? JSON.stringify(event) : fillTemplate(body, templateValues(event), inJson);

/** A subject is one line, whatever a field brings. */
export function mailText(
  event: NotificationEvent,
  { subject, body }: Pick<EmailTarget, "subject" | "body">,
): { subject: string; text: string } {
  const values = templateValues(event);
  return {
    subject: fillTemplate(subject ?? SUBJECT, values)
      .replaceAll(/\s+/g, " ")
      .trim(),
    text: fillTemplate(body ?? BODY, values),
  };
}
