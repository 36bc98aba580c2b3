import type { RouteOptions } from "fastify";
import { TomboloError } from "../change/error.ts";
import type { Role } from "../node/token-desk.ts";
import type { Caller } from "./caller.ts";

/**
 * Who may call a route: anybody, or callers of these roles. An operator may do what a viewer may, an admin what an operator may. `node`
 * stands apart: an edge may call what names it, and on a path with `:node` only its own.
 */
export type Access = "public" | readonly Role[];

declare module "fastify" {
  interface FastifyContextConfig {
    access?: Access;
  }
}

const RANK: Readonly<Record<Role, number>> = { node: 0, viewer: 1, operator: 2, admin: 3 };

/** Called for every route as it is registered: what nobody has decided about does not exist. */
export function requireAccess({ method, url, config }: RouteOptions): void {
  const access = config?.access;
  if (access === "public" || (access !== undefined && access.length > 0)) return;
  throw new TomboloError(`the route ${String(method)} ${url} does not say who may call it`, {
    code: "ROUTE_WITHOUT_ACCESS",
    kind: "fatal",
    hint: "Give it config.access.",
  });
}

/** Throws `ROLE_FORBIDDEN` or `NODE_FORBIDDEN` (usage). `node` is that of the path. */
export function checkAccess(caller: Caller, roles: readonly Role[], node: string | undefined): void {
  if (caller.role === "node" ? !roles.includes("node") : !roles.some((role) => role !== "node" && RANK[role] <= RANK[caller.role])) {
    throw new TomboloError(`a token of the role ${caller.role} may not do this`, {
      code: "ROLE_FORBIDDEN",
      kind: "usage",
      hint: `It takes the role ${roles.join(" or ")}.`,
    });
  }
  if (caller.role !== "node" || node === undefined || node === caller.node) return;
  // the name of the other is not repeated: whether it exists is nobody's business
  throw new TomboloError(`the token belongs to ${caller.node}, not to the node of the path`, {
    code: "NODE_FORBIDDEN",
    kind: "usage",
    hint: "An edge uses the name that it was enrolled with.",
  });
}
