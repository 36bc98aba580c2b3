import type { FastifyRequest } from "fastify";
import { TomboloError } from "../change/error.ts";
import type { NodeName } from "../change/names.ts";
import type { Role } from "../node/token-desk.ts";

/** Who sends a request, as the credential says and nothing else: neither a path, a header nor a packet is believed. */
export interface Caller {
  readonly role: Role;
  /** What the token was issued for, for the audit table. */
  readonly name: string;
  /** Of the role `node` only, as are `group` and `params`: the edge that the token belongs to. */
  readonly node: NodeName | null;
  readonly group: string | null;
  /** Values for the `:names` of row filters, fixed when the edge enrolled. */
  readonly params: { readonly [name: string]: string };
  readonly tokenId: bigint;
}

declare module "fastify" {
  interface FastifyRequest {
    /** Null on public routes. */
    caller: Caller | null;
  }
}

/** The caller of a route that is not public. */
export function callerOf(request: Pick<FastifyRequest, "caller">): Caller {
  if (request.caller !== null) return request.caller;
  throw new TomboloError("a public route asks who calls", { code: "INTERNAL", kind: "fatal" });
}
