import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parseTopology } from "../../replicator/topology/load.ts";
import {
  fillTemplate,
  NOTIFIED_EVENTS,
  TEMPLATE_FIELDS,
  type TemplateValues,
  unknownFields,
} from "../../replicator/topology/notification-fields.ts";

const BASE = `version: 1
name: retail
nodes: [{ name: hub, type: sqlite, path: hub.db }]
channels: [{ name: sales, tables: [orders] }]
groups: [{ name: stores, parent: hub, channels: [sales] }]
`;
const CANARY = "canary-4711";

const parsed = (notifications: string) =>
  parseTopology(`${BASE}${notifications}`, {
    file: "/etc/topology.yaml",
    env: { SECRET: CANARY },
    readFile: () => `${CANARY}\n`,
  });
const problems = (notifications: string) => {
  const loaded = parsed(notifications);
  return "problems" in loaded ? loaded.problems : [];
};
const places = (notifications: string) => problems(notifications).map(({ line, column, code }) => `${line}:${column} ${code}`);
const first = BASE.split("\n").length;

describe("notifications in a topology", () => {
  test("have everything at its default but who is told, and secrets from files and variables", () => {
    const loaded = parsed(`notifications:
  targets:
    - { name: chat, type: webhook, url: "https://hooks.example.com/x", secret: "\${file:hook}" }
    - { name: night, type: email, server: "mail.example.com:587", user: me, password: "\${SECRET}", ca: ca.crt, from: a@b.c, to: [d@e.f], limit: { messages: 3 } }
`);
    if ("problems" in loaded) throw new Error(JSON.stringify(loaded.problems));
    const limit = { messages: 20, perMs: 3_600_000 };
    expect(loaded.topology.notifications).toEqual({
      openConflicts: 10,
      keepMs: 3 * 86_400_000,
      targets: [
        {
          ...{ name: "chat", type: "webhook", url: "https://hooks.example.com/x", secret: CANARY, authorization: null },
          ...{ body: null, events: NOTIFIED_EVENTS, timeoutMs: 10_000, limit },
        },
        {
          ...{ name: "night", type: "email", server: { host: "mail.example.com", port: 587 }, tls: "starttls", ca: "/etc/ca.crt" },
          ...{ login: { user: "me", password: CANARY }, from: "a@b.c", to: ["d@e.f"], subject: null, body: null },
          ...{ events: NOTIFIED_EVENTS, timeoutMs: 10_000, limit: { ...limit, messages: 3 } },
        },
      ],
    });
  });

  test("without the section nobody is told", () => {
    const loaded = parsed("");
    expect("topology" in loaded && loaded.topology.notifications).toBeUndefined();
  });

  test("every problem is shown at once, where it is, and no secret with it", () => {
    const text = `notifications:
  targets:
    - name: chat
      type: webhook
      url: "ftp://x/\${SECRET}"
      body: '{"text": "{{summry}}"}'
      events: [full_sync_failed, lunch]
    - name: CHAT
      type: webhook
      url: https://u:p@x/
      body: '{"rows": {{rows}} }'
    - name: night
      type: email
      server: mail
      tls: none
      user: me
      from: Ops <ops@example.com>
      to: []
      subject: "{{summary"
    - name: late
      type: email
      server: mail.example.com:25
      tls: none
      user: me
      password: \${SECRET}
      from: a@b.c
      to: [d@e.f]
      timeout: 1ms
      pager: true
`;
    expect(places(text)).toEqual([
      `${first + 4}:12 BAD_HOOK_URL`,
      `${first + 5}:13 TEMPLATE_FIELD`,
      `${first + 6}:34 BAD_CHOICE`,
      `${first + 7}:13 DUPLICATE_TARGET`,
      `${first + 9}:12 BAD_HOOK_URL`,
      `${first + 10}:13 TEMPLATE_NOT_JSON`,
      `${first + 13}:15 BAD_LISTEN`,
      `${first + 15}:13 MAIL_LOGIN`,
      `${first + 16}:13 BAD_MAIL_ADDRESS`,
      `${first + 17}:11 LIST_TOO_SHORT`,
      `${first + 18}:16 TEMPLATE_FIELD`,
      `${first + 22}:12 MAIL_LOGIN`,
      `${first + 27}:16 BAD_DURATION`,
      `${first + 28}:7 UNKNOWN_KEY`,
    ]);
    const shown = JSON.stringify(problems(text));
    expect(shown).toContain("Did you mean `summary`?");
    expect(shown).not.toContain(CANARY);
    expect(shown).not.toContain("u:p@");
  });
});

describe("templates", () => {
  const values = Object.fromEntries(Object.keys(TEMPLATE_FIELDS).map((field) => [field, `<${field}>`])) as TemplateValues;

  test("take their fields once: what is put in is not looked at again", () => {
    expect(fillTemplate("{{node}} {{ peer }}", { ...values, node: "{{peer}}" })).toBe("{{peer}} <peer>");
    expect(fillTemplate("$& {{node}}", { ...values, node: "$&$1" })).toBe("$& $&$1");
  });

  test("name what they ask for and nobody has", () => {
    expect(unknownFields("{{node}} {{nodes}} {{constructor}} {{ }}")).toEqual(["nodes", "constructor", ""]);
    expect(unknownFields("{{node")).toEqual(["{{"]);
    expect(unknownFields("{ a } }} ")).toEqual(["{{"]);
  });

  test("docs/notifications.md tells of every field and every event", () => {
    const page = readFileSync(new URL("../../docs/notifications.md", import.meta.url), "utf8");
    for (const [field, meaning] of Object.entries(TEMPLATE_FIELDS)) expect(page).toContain(`| \`{{${field}}}\` | ${meaning} |`);
    for (const event of NOTIFIED_EVENTS) expect(page).toContain(`| \`${event}\` |`);
  });
});
