import type { FastifyError, FastifyReply, FastifyRequest } from "fastify";
import { hasZodFastifySchemaValidationErrors } from "fastify-type-provider-zod";
import { z } from "zod";
import { TomboloError } from "../change/error.ts";
import { codeMeaning } from "../change/error-codes.ts";
import { describeError } from "../observability/describe-error.ts";
import type { Logger } from "../observability/log.ts";
import { httpStatus } from "./http-status.ts";

/** Every answer that is no success: RFC 9457, `application/problem+json`. */
export const problemSchema = z
  .object({
    type: z.string().meta({ description: "`urn:tombolo:` and the code." }),
    title: z.string().meta({ description: "What the code means, always the same." }),
    status: z.int(),
    code: z.string().meta({ description: "Stable; docs/errors.md lists them all. Match on it, never on texts." }),
    detail: z.string().meta({ description: "What happened here. Names, never values of rows." }),
    hint: z.string().nullable().meta({ description: "What to do about it." }),
    request_id: z.string(),
    errors: z
      .array(z.object({ path: z.string(), message: z.string() }))
      .optional()
      .meta({ description: "With REQUEST_INVALID: every place that is wrong." }),
  })
  .meta({ description: "An error." });

export type Problem = z.output<typeof problemSchema>;

export const PROBLEM_TYPE = "application/problem+json; charset=utf-8";

/** @param extra goes beside the members of the problem, as the state that a failed precondition found. */
export function problemOf(error: unknown, requestId: string, extra: object = {}): Problem {
  const { code, message, hint } = describeError(error);
  return {
    type: `urn:tombolo:${code}`,
    title: codeMeaning(code) ?? "An unexpected error.",
    status: httpStatus(error),
    code,
    detail: message,
    hint: hint ?? null,
    request_id: requestId,
    ...extra,
  };
}

export function sendProblem(reply: FastifyReply, problem: Problem): FastifyReply {
  // not through the serializer of the route, which knows its own answers only
  return reply.code(problem.status).header("content-type", PROBLEM_TYPE).serializer(JSON.stringify).send(problem);
}

/** Turns whatever a route throws into a problem. What is not ours to explain goes to the log, with the request's id, and not to the caller. */
export const errorHandler =
  (log: Logger) =>
  (thrown: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const error = ours(thrown as FastifyError);
    const problem = problemOf(error, request.id, invalidPlaces(thrown));
    const about = { request_id: request.id, method: request.method, route: request.routeOptions.url ?? null, code: problem.code };
    // nobody is there to be answered, and there is nothing to mend here
    if (problem.code === "LINE_CUT") log.info(about, problem.detail);
    else if (problem.status >= 500) log.warn({ ...about, err: error }, "a request failed");
    else if (problem.status === 401 || problem.status === 403) log.info({ ...about, ip: request.ip }, "a request was refused");
    else log.debug(about, "a request was refused");
    if (problem.status === 401) void reply.header("www-authenticate", 'Bearer realm="tombolo"');
    if (problem.status === 429 && !reply.hasHeader("retry-after")) void reply.header("retry-after", "60");
    if (problem.status === 503 && !reply.hasHeader("retry-after")) void reply.header("retry-after", "1");
    return sendProblem(reply, problem);
  };

/** Errors of the framework say by their status what they are; their texts may repeat what was sent. */
function ours(thrown: FastifyError): unknown {
  if (thrown instanceof TomboloError) return thrown;
  if (thrown.statusCode === 413) {
    return new TomboloError("the body is larger than this route takes", {
      code: "BODY_TOO_LARGE",
      kind: "usage",
      hint: "Send less at once.",
    });
  }
  if (thrown.statusCode === undefined || thrown.statusCode >= 500) return thrown;
  return new TomboloError("the request is not as this route wants it", {
    code: "REQUEST_INVALID",
    kind: "usage",
    hint: "See /openapi.json.",
  });
}

function invalidPlaces(thrown: unknown): object {
  if (!hasZodFastifySchemaValidationErrors(thrown)) return {};
  return { errors: thrown.validation.map(({ instancePath, message }) => ({ path: instancePath, message: message ?? "is not valid" })) };
}
