import { z } from "zod";
import { ROLES } from "../../node/token-desk.ts";
import { moment, named } from "./common.ts";

export const tokenSchema = z
  .object({
    id: z.string(),
    kind: z.enum(["token", "code"]).meta({ description: "A `code` is exchanged for a token, once." }),
    handle: z.string().meta({ description: "The part of the secret that is none: `tbl_HANDLE_…`." }),
    name: z.string(),
    role: z.enum(ROLES),
    node: z.string().nullable(),
    group: z.string().nullable(),
    params: z.record(z.string(), z.string()),
    state: z.enum(["in_force", "expired", "revoked", "redeemed"]),
    created_by: z.string(),
    created_at: moment,
    expires_at: moment.nullable(),
    revoked_at: moment.nullable(),
    last_used_at: moment.nullable().meta({ description: "To the minute." }),
    replaced_by: z.string().nullable(),
  })
  .meta({ description: "A token or an enrolment code, without its secret." });

export const issuedSchema = z.object({
  token: tokenSchema,
  secret: z.string().meta({ description: "Shown this once, and kept nowhere." }),
});

const lifetime = z
  .int()
  .min(1)
  .max(3_650 * 86_400);

export const newTokenSchema = z.strictObject({
  role: z.enum(ROLES).meta({ description: "For `node` the answer holds a one-time enrolment code, otherwise a token." }),
  name: named.nullable().default(null).meta({ description: "What it is for; shown in lists and in the audit trail." }),
  node: named.nullable().default(null).meta({ description: "Of an edge: its name." }),
  group: named.nullable().default(null).meta({ description: "Of an edge: its group in the topology." }),
  params: z.record(z.string(), z.string()).default({}).meta({ description: "Of an edge: the group's parameters." }),
  lifetime_seconds: lifetime
    .nullable()
    .default(365 * 86_400)
    .meta({ description: "Of the token; null for ever." }),
  code_lifetime_seconds: lifetime.default(86_400).meta({ description: "Of an enrolment code." }),
});

export const enrolRequest = z.strictObject({
  code: z.string().min(1).max(200).meta({ description: "The one-time code of `tombolo tokens create`." }),
});

export const enrolAnswer = z.object({
  node: z.string().meta({ description: "The edge's name from now on." }),
  group: z.string(),
  parent: z.string(),
  params: z.record(z.string(), z.string()),
  token: z.string().meta({ description: "Shown this once. To be kept where only the edge can read it." }),
  expires_at: moment.nullable(),
  topology: z.string(),
  version: z.string(),
  time: moment,
  protocol: z.object({ oldest: z.int(), newest: z.int() }),
});

export const rotated = z.object({
  token: z.string().meta({ description: "The new one, shown this once." }),
  expires_at: moment.nullable(),
  old_until: moment.meta({ description: "Until then the old one works as well." }),
});
