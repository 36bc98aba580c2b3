/** What a target may ask to be told; every one of them where it does not say. */
export const NOTIFIED_EVENTS = [
  "full_sync_completed",
  "full_sync_failed",
  "reconcile_completed",
  "reconcile_failed",
  "reconcile_drift",
  "must_resync",
  "conflicts_open",
] as const;
export type NotifiedEvent = (typeof NOTIFIED_EVENTS)[number];

/** What a template may say as `{{name}}`; what an event does not have is empty. None of them ever holds a value of a row. */
export const TEMPLATE_FIELDS = {
  id: "stays the same at every try, so that a receiver may drop doubles",
  event: "the event's name, as in `events`; `held_back` of a summary, `test` of a test",
  severity: "`info`, `warning` or `critical`",
  occurred_at: "when it happened, RFC 3339 in UTC",
  topology: "the topology's name",
  summary: "one sentence that says what happened, and where",
  details: "what else is known, a line each as `name: value`",
  remedy: "what to do about it",
  node: "the node that it is about",
  peer: "the other node",
  direction: "of a full sync: `pull` or `push`",
  schedule: "of a reconcile: its schedule, or `manual`",
  outcome: "how it ended",
  rows: "of a full sync: the rows that it copied",
  compared: "of a reconcile: the rows that were compared",
  differing: "of a reconcile: the rows that differed",
  repaired: "of a reconcile: the rows that were made equal",
  conflicts: "the open conflicts of the node",
  threshold: "`open_conflicts` of the topology",
  started_at: "when the run began",
  finished_at: "when the run ended",
  error: "why it failed",
  held_back: "of a summary: how many events it stands for",
} as const;
export type TemplateField = keyof typeof TEMPLATE_FIELDS;
export type TemplateValues = { readonly [F in TemplateField]: string };

const PLACEHOLDER = /\{\{([^{}]*)\}\}/g;
const isField = (name: string): name is TemplateField => Object.hasOwn(TEMPLATE_FIELDS, name);

/** What stands between `{{` and `}}` and is no field, and `{{` by itself where one does not end. */
export function unknownFields(template: string): string[] {
  const names = [...template.matchAll(PLACEHOLDER)].map(([, name = ""]) => name.trim());
  const rest = template.replaceAll(PLACEHOLDER, "");
  return [...names.filter((name) => !isField(name)), ...(/\{\{|\}\}/.test(rest) ? ["{{"] : [])];
}

/** The template with its fields put in; `suit` makes each what may stand there. What is put in is not looked at again. */
export const fillTemplate = (template: string, values: TemplateValues, suit: (value: string) => string = (value) => value): string =>
  template.replaceAll(PLACEHOLDER, (whole, name: string) => {
    const field = name.trim();
    return isField(field) ? suit(values[field]) : whole;
  });

/** A text as it stands between the quotes of a JSON string. */
export const inJson = (text: string): string => JSON.stringify(text).slice(1, -1);

/** Whether the template makes JSON whatever is put in: its fields stand inside of strings. */
export function isJsonTemplate(template: string): boolean {
  const empty = Object.fromEntries(Object.keys(TEMPLATE_FIELDS).map((field) => [field, ""])) as TemplateValues;
  try {
    JSON.parse(fillTemplate(template, empty));
    return true;
  } catch {
    return false;
  }
}
