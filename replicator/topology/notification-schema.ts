import { z } from "zod";
import { duration, filePath, hookUrl, listen, mailAddress, name, secret, words } from "./fields.ts";
import { NOTIFIED_EVENTS } from "./notification-fields.ts";

/** The part of a topology file that says who is told of what. */

const events = z
  .array(z.enum(NOTIFIED_EVENTS))
  .min(1)
  .optional()
  .meta({
    description:
      "What the target is told: full syncs and reconciles that completed or failed, a reconcile that found rows different (`reconcile_drift`), a node that must be filled anew, conflicts that wait for a person. Everything where the file is silent.",
    examples: [["full_sync_failed", "reconcile_failed", "reconcile_drift", "must_resync", "conflicts_open"]],
  });

const timeout = duration({ description: "One try may last this long.", examples: ["10s"] }, "100ms").default("10s");

const limit = z
  .strictObject({
    messages: z.int().min(1).max(10_000).default(20).meta({ description: "At most so many messages in `per`." }),
    per: duration({ description: "The time that `messages` is of.", examples: ["1h"] }, "1s").default("1h"),
  })
  .prefault({})
  .meta({
    description: "How many messages the target gets. What is beyond that waits, and comes as one message that counts and lists it.",
  });

const webhook = z.strictObject({
  name: name({ description: "The target's name, in metrics, logs and `tombolo notify`.", examples: ["chat"] }),
  type: z.literal("webhook").meta({ description: "An HTTP POST with a JSON body." }),
  url: hookUrl({ description: "Where it is sent. It is treated as a secret.", examples: ["https://hooks.example.com/tombolo"] }),
  secret: secret({
    description:
      "Signs what is sent by HMAC-SHA256, as Standard Webhooks have it: `whsec_` and base64, or any other text, whose bytes are the key.",
    examples: ["${file:/run/secrets/hook}"],
  }).optional(),
  authorization: secret({
    description: "The value of the header `Authorization`, where the receiver wants one.",
    examples: ["Bearer ${HOOK_TOKEN}"],
  }).optional(),
  body: words({
    description:
      "The JSON that is sent, with `{{fields}}` inside of its strings. Where the file is silent, the event with all that is known of it.",
    examples: ['{"text": "{{summary}}"}'],
  }).optional(),
  events,
  timeout,
  limit,
});

const email = z.strictObject({
  name: name({ description: "The target's name, in metrics, logs and `tombolo notify`.", examples: ["night-shift"] }),
  type: z.literal("email").meta({ description: "A mail by SMTP." }),
  server: listen({ description: "The mail server.", examples: ["mail.example.com:587"] }),
  tls: z.enum(["starttls", "implicit", "none"]).default("starttls").meta({
    description:
      "`starttls` turns to TLS before anything is said, and refuses a server without it; `implicit` is TLS from the start (port 465); `none`.",
  }),
  ca: filePath({
    description: "Certificates (PEM) that the server's is checked by, in place of the system's.",
    examples: ["./mail-ca.crt"],
  }).optional(),
  user: words({ description: "Whom to log in as.", examples: ["tombolo"] }).optional(),
  password: secret({ description: "The password of `user`.", examples: ["${file:/run/secrets/smtp}"] }).optional(),
  from: mailAddress({ description: "The sender's address.", examples: ["tombolo@example.com"] }),
  to: z
    .array(mailAddress({ description: "An address.", examples: ["ops@example.com"] }))
    .min(1)
    .meta({ description: "Who gets it." }),
  subject: words({ description: "The subject, with `{{fields}}`.", examples: ["[{{topology}}] {{summary}}"] }).optional(),
  body: words({ description: "The text, with `{{fields}}`.", examples: ["{{summary}}\n\n{{details}}\n\n{{remedy}}"] }).optional(),
  events,
  timeout,
  limit,
});

export const notifications = z.strictObject({
  open_conflicts: z.int().min(0).max(1_000_000_000).default(10).meta({
    description:
      "`conflicts_open` is told when a node has more open conflicts than this: once, and again only after they had fallen to half of it.",
  }),
  keep: duration(
    { description: "How long a message is tried, with longer and longer waits, before it is given up.", examples: ["3d"] },
    "1m",
  ).default("3d"),
  targets: z
    .array(z.discriminatedUnion("type", [webhook, email]))
    .min(1)
    .meta({ description: "Who is told." }),
});
