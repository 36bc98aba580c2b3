import type { FastifyRequest } from "fastify";
import { checkAccess } from "./access.ts";
import type { Caller } from "./caller.ts";

/** Who a credential belongs to. Throws `TOKEN_INVALID` (usage), or `RATE_LIMITED` (retry) for one who has guessed too often. */
export type Authenticate = (token: string | null, address: string) => Promise<Caller>;

/** Before anything of the body is read: who calls, and whether that may be. */
export async function admit(request: FastifyRequest, authenticate: Authenticate): Promise<void> {
  const { access } = request.routeOptions.config;
  // a path that is no route has no access either, and is told so whoever asks
  if (request.is404 || access === "public") return;
  const caller = await authenticate(bearerToken(request.headers.authorization), request.ip);
  request.caller = caller;
  checkAccess(caller, access ?? [], (request.params as { readonly node?: string }).node);
}

const bearerToken = (header: string | undefined): string | null => /^Bearer ([!-~]{1,512})$/i.exec(header ?? "")?.[1] ?? null;
