import { Webhook } from "standardwebhooks";
import { afterEach, describe, expect, test } from "vitest";
import { emailSender } from "../../replicator/notify/email.ts";
import type { NotificationEvent } from "../../replicator/notify/event.ts";
import { webhookSender } from "../../replicator/notify/webhook.ts";
import { NOTIFIED_EVENTS } from "../../replicator/topology/notification-fields.ts";
import type { EmailTarget, WebhookTarget } from "../../replicator/topology/topology.ts";
import { freePort } from "../helpers/command.ts";
import { hookReceiver, MAIL_CA, mailReceiver } from "../helpers/receivers.ts";

const EVENT: NotificationEvent = {
  ...{ id: "0123456789abcdef0123456789abcdef", event: "full_sync_failed", severity: "critical" },
  ...{ occurred_at: "2026-01-31T03:00:00.000Z", topology: "retail" },
  summary: 'the full sync of store-1 from "hub" failed',
  remedy: "Run it again.",
  details: { node: "store-1", peer: "hub", rows: "12", error: "DISK_FULL" },
};
const SECRET = "canary-secret-4711";
const common = { name: "ops", events: NOTIFIED_EVENTS, timeoutMs: 5_000, limit: { messages: 20, perMs: 3_600_000 }, body: null };
const hook = (url: string, more: Partial<WebhookTarget> = {}): WebhookTarget => ({
  ...{ ...common, type: "webhook", url, secret: null, authorization: null },
  ...more,
});
const mail = (port: number, more: Partial<EmailTarget> = {}): EmailTarget => ({
  ...{ ...common, type: "email", server: { host: "localhost", port }, tls: "starttls", ca: MAIL_CA, login: null },
  ...{ from: "tombolo@example.com", to: ["ops@example.com", "night@example.com"], subject: null },
  ...more,
});

const closing: { close(): Promise<void> }[] = [];
const opened = <T extends { close(): Promise<void> }>(each: T): T => {
  closing.push(each);
  return each;
};
afterEach(async () => {
  for (const each of closing.splice(0)) await each.close();
});

/** What the sending of the event throws. */
const failure = async (target: WebhookTarget | EmailTarget): Promise<Record<string, unknown>> => {
  const sender = target.type === "webhook" ? webhookSender(target) : emailSender(target);
  try {
    await sender.send(EVENT, Date.now());
  } catch (error) {
    return { ...(error as object), message: (error as Error).message };
  }
  throw new Error("it was sent");
};

describe("a webhook", () => {
  test.each([
    ["a secret of Standard Webhooks", `whsec_${Buffer.from("0123456789abcdef0123456789abcdef").toString("base64")}`],
    ["any other text", SECRET],
  ])("is signed so that their own library takes it, and nothing that was changed: %s", async (_what, secret) => {
    const receiver = opened(await hookReceiver());
    await webhookSender(hook(receiver.url, { secret, authorization: "Bearer abc" })).send(EVENT, Date.now());
    const [{ headers, body }] = receiver.posted as [(typeof receiver.posted)[0]];
    const theirs = secret.startsWith("whsec_") ? new Webhook(secret) : new Webhook(secret, { format: "raw" });
    expect(theirs.verify(body, headers as unknown as Record<string, string>)).toEqual(EVENT);
    expect(() => theirs.verify(body.replace("critical", "info"), headers as unknown as Record<string, string>)).toThrow();
    const later = { ...headers, "webhook-timestamp": String(Number(headers["webhook-timestamp"]) + 1) };
    expect(() => theirs.verify(body, later as unknown as Record<string, string>)).toThrow();
    expect(headers["webhook-id"]).toBe(EVENT.id);
    expect(headers.authorization).toBe("Bearer abc");
  });

  test("without a secret has no signature", async () => {
    const receiver = opened(await hookReceiver());
    await webhookSender(hook(receiver.url)).send(EVENT, Date.now());
    expect(receiver.posted[0]?.headers).not.toHaveProperty("webhook-signature");
    expect(receiver.posted[0]?.headers).not.toHaveProperty("authorization");
  });

  test("with a body of its own is JSON, whatever the fields bring", async () => {
    const receiver = opened(await hookReceiver());
    const body = '{"text": "{{summary}}: {{ error }}", "by": ["{{schedule}}"]}';
    await webhookSender(hook(receiver.url, { body })).send({ ...EVENT, details: { error: 'a\n"quote" {{id}}' } }, Date.now());
    expect(JSON.parse(receiver.posted[0]?.body ?? "")).toEqual({ text: `${EVENT.summary}: a\n"quote" {{id}}`, by: [""] });
  });

  test("that is refused, redirected, silent, away or without a proper certificate fails with its code, and without its address", async () => {
    const receiver = opened(await hookReceiver());
    receiver.status = 500;
    const at = `${receiver.url}?key=${SECRET}`;
    const failures = [await failure(hook(at, { secret: SECRET, authorization: SECRET }))];
    receiver.status = 307;
    receiver.answerHeaders.location = receiver.url;
    failures.push(await failure(hook(at)));
    expect(receiver.posted).toHaveLength(2);
    receiver.status = null;
    failures.push(await failure(hook(at, { timeoutMs: 200 })));
    failures.push(await failure(hook(`http://127.0.0.1:${await freePort()}/?key=${SECRET}`)));
    const tls = opened(await mailReceiver({ smtp: { secure: true } }));
    failures.push(await failure(hook(`https://localhost:${tls.port}/?key=${SECRET}`)));
    expect(failures.map(({ code, kind }) => [code, kind])).toEqual([
      ["NOTIFY_REFUSED", "operator"],
      ["NOTIFY_REFUSED", "operator"],
      ["NOTIFY_TIMEOUT", "connect"],
      ["NOTIFY_UNREACHABLE", "connect"],
      ["NOTIFY_TLS", "operator"],
    ]);
    expect(failures[0]?.message).toContain("HTTP 500");
    expect(JSON.stringify(failures)).not.toContain(SECRET);
  });
});

describe("a mail", () => {
  test("goes over TLS, after the login, to everybody, with an id by which doubles are dropped", async () => {
    const login = { user: "tombolo", password: SECRET };
    const server = opened(await mailReceiver({ login }));
    await emailSender(mail(server.port, { login })).send({ ...EVENT, summary: "the full sync of store-1 failed" }, Date.now());
    expect(server.mails).toHaveLength(1);
    const [sent] = server.mails as [(typeof server.mails)[0]];
    expect(sent).toMatchObject({
      secure: true,
      user: "tombolo",
      from: "tombolo@example.com",
      to: ["ops@example.com", "night@example.com"],
    });
    expect(sent.source).toContain(`Message-ID: <${EVENT.id}@`);
    expect(sent.source).toContain("Auto-Submitted: auto-generated");
    expect(sent.source).toContain("Subject: [tombolo retail] the full sync of store-1 failed\r\n");
    expect(sent.source).toContain("error: DISK_FULL");
    expect(sent.source).toContain("What to do: Run it again.");
  });

  test("has subject and text of the topology; a subject stays one line", async () => {
    const server = opened(await mailReceiver());
    const target = mail(server.port, { subject: "{{node}}: {{error}}", body: "at {{occurred_at}}\n{{details}}" });
    await emailSender(target).send({ ...EVENT, details: { node: "store-1", error: "x\r\nBcc: evil@example.com" } }, Date.now());
    const { source, to } = server.mails[0] ?? { source: "", to: [] };
    expect(source).toContain("Subject: store-1: x Bcc: evil@example.com\r\n");
    expect(source.split("\r\n\r\n")[0]).not.toMatch(/^Bcc:/m);
    expect(to).toHaveLength(2);
    expect(source).toContain("at 2026-01-31T03:00:00.000Z");
  });

  test("over implicit TLS, and over none where that is asked for", async () => {
    const implicit = opened(await mailReceiver({ smtp: { secure: true } }));
    await emailSender(mail(implicit.port, { tls: "implicit" })).send(EVENT, Date.now());
    const plain = opened(await mailReceiver({ smtp: { hideSTARTTLS: true, disabledCommands: ["STARTTLS"] } }));
    await emailSender(mail(plain.port, { tls: "none" })).send(EVENT, Date.now());
    expect([implicit.mails[0]?.secure, plain.mails[0]?.secure]).toEqual([true, false]);
  });

  test("is not sent in the clear by a server without TLS, nor to one whose certificate nobody knows; what is refused has its code", async () => {
    const plain = opened(await mailReceiver({ smtp: { hideSTARTTLS: true, disabledCommands: ["STARTTLS"] } }));
    const server = opened(await mailReceiver({ login: { user: "tombolo", password: "right" } }));
    const refusing = opened(await mailReceiver());
    refusing.refuses = 550;
    const silent = opened(await mailReceiver({ smtp: { onConnect: () => undefined } }));
    const failures = [
      await failure(mail(plain.port)),
      await failure(mail(server.port, { ca: null })),
      await failure(mail(server.port, { ca: "/nowhere/ca.crt" })),
      await failure(mail(server.port, { login: { user: "tombolo", password: SECRET } })),
      await failure(mail(refusing.port)),
      await failure(mail(await freePort())),
      await failure(mail(silent.port, { timeoutMs: 300 })),
    ];
    expect(failures.map(({ code }) => code)).toEqual([
      ...["NOTIFY_TLS", "NOTIFY_TLS", "NOTIFY_TLS", "NOTIFY_REFUSED", "NOTIFY_REFUSED", "NOTIFY_UNREACHABLE", "NOTIFY_TIMEOUT"],
    ]);
    expect(failures[4]?.message).toContain("SMTP 550");
    expect([...plain.mails, ...server.mails, ...refusing.mails]).toEqual([]);
    expect(JSON.stringify(failures)).not.toContain(SECRET);
  });
});
