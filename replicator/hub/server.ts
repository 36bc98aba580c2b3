import { randomUUID } from "node:crypto";
import type { ServerOptions as TlsOptions } from "node:https";
import rateLimit from "@fastify/rate-limit";
import swagger from "@fastify/swagger";
import Fastify, { type FastifyPluginAsync } from "fastify";
import { serializerCompiler, validatorCompiler } from "fastify-type-provider-zod";
import { TomboloError } from "../change/error.ts";
import { hubOf } from "../lifecycle/tree.ts";
import { requireAccess } from "./access.ts";
import { type Authenticate, admit } from "./authenticate.ts";
import { BODY_TIMES, type BodyTimes, watchBody } from "./body-watch.ts";
import type { HubContext, HubServer, RoutePlugin } from "./context.ts";
import { Drain } from "./drain.ts";
import { EdgeVersions } from "./edge-versions.ts";
import { Guesses } from "./guesses.ts";
import { openApi } from "./openapi.ts";
import { refusePlain } from "./plain-http.ts";
import { errorHandler } from "./problem.ts";
import { authenticateByToken } from "./token-authenticator.ts";

export interface HubServerOptions extends Omit<HubContext, "closing" | "edgeVersions" | "guesses" | "tokens"> {
  /** By the tokens in the hub's database, where nothing else is said. */
  readonly authenticate?: Authenticate;
  readonly routes: readonly RoutePlugin[];
  /** Null serves plain HTTP. */
  readonly tls: TlsOptions | null;
  /** Addresses and networks of proxies in front, whose X-Forwarded-For is believed, and who may come in plain HTTP. */
  readonly trustProxy: readonly string[];
  /** Requests that one caller may make in a minute. */
  readonly maxRequests: number;
  /** As in production where they are not said. */
  readonly bodyTimes?: BodyTimes;
}

/** A service that has not been started. */
export interface Hub {
  readonly server: HubServer;
  /** Finishes the requests in hand, refuses others, then ends. */
  close(): Promise<void>;
}

/** Of a JSON body; routes that take packets say for themselves. */
const BODY_LIMIT = 1024 * 1024;
/** How long a client may take to send its headers; for bodies see body-watch.ts. */
const HEADERS_TIMEOUT_MS = 15_000;
const REQUEST_ID = /^[\w.-]{1,64}$/;

/**
 * Puts the HTTP service together: identity first, then limits, then the routes. Nothing of a body is read, and nothing is decompressed,
 * before the caller is known.
 */
export async function buildServer(options: HubServerOptions): Promise<Hub> {
  const { routes, tls, trustProxy, maxRequests, log, metrics, topology, node, bodyTimes = BODY_TIMES } = options;
  const drain = new Drain();
  const tokens = async () => (await node(hubOf(topology()).name)).tokens;
  const guesses = new Guesses(options.timers.now);
  const edgeVersions = new EdgeVersions();
  const hub: HubContext = { ...options, tokens, guesses, edgeVersions, closing: drain.signal };
  const authenticate = options.authenticate ?? authenticateByToken(hub);
  const server = Fastify({
    ...(tls === null ? {} : { https: tls }),
    logger: false,
    bodyLimit: BODY_LIMIT,
    requestTimeout: 0,
    trustProxy: trustProxy.length === 0 ? false : [...trustProxy],
    requestIdHeader: false,
    genReqId: ({ headers }) => {
      const given = headers["x-request-id"];
      return typeof given === "string" && REQUEST_ID.test(given) ? given : randomUUID();
    },
    return503OnClosing: true,
    forceCloseConnections: "idle",
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: 200 },
  }) as unknown as HubServer;
  server.server.headersTimeout = HEADERS_TIMEOUT_MS;
  server.setValidatorCompiler(validatorCompiler);
  server.setSerializerCompiler(serializerCompiler);
  server.decorateRequest("caller", null);
  server.addHook("onRoute", requireAccess);
  server.setErrorHandler(errorHandler(log));
  server.addHook("onSend", async (request, reply) => {
    if (!reply.hasHeader("cache-control")) void reply.header("cache-control", "no-store");
    void reply.headers({ "x-content-type-options": "nosniff", "x-request-id": request.id });
  });
  server.addHook("onResponse", async (request, reply) => {
    const route = request.routeOptions.url ?? "none";
    metrics.hubRequests.observe({ route, method: request.method, status: String(reply.statusCode) }, reply.elapsedTime / 1000);
  });
  drain.watch(server);
  if (tls === null) server.addHook("onRequest", refusePlain(trustProxy));
  server.addHook("onRequest", async (request) => watchBody(request, bodyTimes));
  server.addHook("onRequest", (request) => admit(request, authenticate));
  server.addHook("onRequest", async ({ caller, headers }) => edgeVersions.note(caller, headers["user-agent"]));
  await server.register(rateLimit, {
    max: maxRequests,
    timeWindow: 60_000,
    keyGenerator: ({ caller, ip }) => (caller === null ? ip : `token ${caller.tokenId}`),
    errorResponseBuilder: () =>
      new TomboloError("too many requests from one caller", {
        code: "RATE_LIMITED",
        kind: "retry",
        hint: "Wait as long as Retry-After says.",
      }),
  });
  await server.register(swagger, openApi(options.version));
  server.setNotFoundHandler({ preHandler: server.rateLimit() }, async ({ method }) => {
    throw new TomboloError(`there is no such route for ${method}`, { code: "ROUTE_UNKNOWN", kind: "usage", hint: "See /openapi.json." });
  });
  for (const plugin of routes) {
    const load: FastifyPluginAsync = async (scope) => plugin(scope as unknown as HubServer, hub);
    await server.register(load);
  }
  await server.ready();
  return { server, close: () => drain.close(server) };
}
