import { z } from "zod";
import { nodeName } from "../../change/names.ts";
import { ROLES, type TokenRecord } from "../../node/token-desk.ts";
import { callerOf } from "../caller.ts";
import type { RoutePlugin } from "../context.ts";
import { type Issued, issue, ROTATION_GRACE_MS, rotate } from "../issue.ts";
import { beforeId, flag, idParam, limit, named, page } from "../schemas/common.ts";
import { issuedSchema, newTokenSchema, tokenSchema } from "../schemas/tokens.ts";
import { tokenRotated, tokenUnknown } from "../token-errors.ts";
import { tokenReport } from "../token-report.ts";

const ADMIN = { access: ["admin"] } as const;

/** Tokens and enrolment codes, for admins. */
export const tokenRoutes: RoutePlugin = (server, hub) => {
  const report = (record: TokenRecord) => {
    const told = tokenReport(record, hub.timers.now());
    return { ...told, params: { ...told.params } };
  };
  const issued = ({ record, secret }: Issued) => ({ token: report(record), secret });

  server.get(
    "/v1/tokens",
    {
      config: ADMIN,
      schema: {
        operationId: "listTokens",
        tags: ["rights"],
        summary: "Tokens and enrolment codes, newest first",
        querystring: z.strictObject({
          limit: limit(100, 1000),
          before: beforeId,
          node: named.optional(),
          role: z.enum(ROLES).optional(),
          in_force: flag("Only what is neither revoked, expired nor redeemed."),
        }),
        response: { 200: z.object({ tokens: z.array(tokenSchema), next: z.string().nullable() }) },
      },
    },
    async ({ query }) => {
      const { before, node, role } = query;
      const records = await (await hub.tokens()).list({
        limit: query.limit + 1,
        inForce: query.in_force,
        ...(before === undefined ? {} : { before }),
        ...(node === undefined ? {} : { node: nodeName(node) }),
        ...(role === undefined ? {} : { role }),
      });
      const { shown, next } = page(records, query.limit);
      return { tokens: shown.map(report), next };
    },
  );
  server.post(
    "/v1/tokens",
    {
      config: ADMIN,
      schema: {
        operationId: "createToken",
        tags: ["rights"],
        summary: "A token for a person or a script, or a one-time enrolment code for an edge",
        body: newTokenSchema,
        response: { 201: issuedSchema },
      },
    },
    async (request, reply) => {
      const { body } = request;
      const wanted = {
        ...body,
        lifetimeMs: body.lifetime_seconds === null ? null : body.lifetime_seconds * 1000,
        codeLifetimeMs: body.code_lifetime_seconds * 1000,
      };
      return reply.code(201).send(issued(await issue(await hub.tokens(), hub.topology(), wanted, callerOf(request).name)));
    },
  );
  server.post(
    "/v1/tokens/:id/rotate",
    {
      config: ADMIN,
      schema: {
        operationId: "rotateToken",
        tags: ["rights"],
        summary: "A new token with the same rights; the old one works for another hour",
        params: idParam,
        response: { 200: issuedSchema },
      },
    },
    async (request) => {
      const { id } = request.params;
      const desk = await hub.tokens();
      const next = await rotate(desk, id, ROTATION_GRACE_MS, callerOf(request).name);
      if (next !== null) return issued(next);
      const inForce = await desk.list({ limit: 1, before: id + 1n, inForce: true });
      throw inForce[0]?.id === id && inForce[0].kind === "token" ? tokenRotated() : tokenUnknown(id);
    },
  );
  server.delete(
    "/v1/tokens/:id",
    {
      config: ADMIN,
      schema: {
        operationId: "revokeToken",
        tags: ["rights"],
        summary: "End a token at once, with all that came of it by rotation or enrolment",
        params: idParam,
        response: { 200: z.object({ token: tokenSchema }) },
      },
    },
    async (request) => {
      const { id } = request.params;
      const record = await (await hub.tokens()).revoke(id, callerOf(request).name);
      if (record === null) throw tokenUnknown(id);
      return { token: report(record) };
    },
  );
};
