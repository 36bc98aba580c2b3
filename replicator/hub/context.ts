import type { IncomingMessage, ServerResponse } from "node:http";
import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import type { NodeName } from "../change/names.ts";
import type { Parts } from "../lifecycle/parts.ts";
import type { Timers } from "../lifecycle/timers.ts";
import type { Node } from "../node/node.ts";
import type { TokenDesk } from "../node/token-desk.ts";
import type { LagBook } from "../observability/lag.ts";
import type { Logger } from "../observability/log.ts";
import type { Metrics } from "../observability/metrics.ts";
import type { Topology } from "../topology/topology.ts";
import type { EdgeVersions } from "./edge-versions.ts";
import type { Guesses } from "./guesses.ts";
import type { ImageLimits } from "./images/image-store.ts";

/** A Fastify server whose routes are typed by their zod schemas. */
export type HubServer = FastifyInstance<RawServerDefault, IncomingMessage, ServerResponse, FastifyBaseLogger, ZodTypeProvider>;

/** What every route has at hand. Nothing that matters is kept in the process: several may serve one topology at once. */
export interface HubContext {
  /** As it is in force now: a reload may change it between two requests. */
  readonly topology: () => Topology;
  /** The node, opened when it is first asked for. Throws `NODE_UNKNOWN` (usage), or what opening it throws (connect, newer). Nobody closes it. */
  readonly node: (name: NodeName) => Promise<Node>;
  /** Those of the topology's hub, whichever node the edges belong to. */
  readonly tokens: () => Promise<TokenDesk>;
  /** Who has shown wrong secrets of late. */
  readonly guesses: Guesses;
  readonly edgeVersions: EdgeVersions;
  readonly parts: Pick<Parts, "createLink" | "judge" | "fullSync" | "leaseStore">;
  readonly metrics: Metrics;
  readonly lag: LagBook;
  readonly log: Logger;
  readonly timers: Timers;
  readonly version: string;
  /** Of images of rows for edges that have none; as in production where it is not said. */
  readonly images?: { readonly limits?: ImageLimits };
  /** Aborts when the service is to end: whatever waits for news then answers at once. */
  readonly closing: AbortSignal;
}

/**
 * A set of routes. Each says in `config.access` who may call it, and in `schema` what goes in and comes out, which is what docs/openapi.json
 * is made of. What it registers besides (parsers, hooks) stays inside.
 */
export type RoutePlugin = (server: HubServer, hub: HubContext) => void;
