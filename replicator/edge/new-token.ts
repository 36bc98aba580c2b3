import { setTimeout as delay } from "node:timers/promises";
import { isPassing, TomboloError } from "../change/error.ts";
import type { Credential } from "./credential.ts";
import { hubStatus, renew } from "./hub-answers.ts";
import type { HubClient } from "./hub-client.ts";

/** A request may come damaged as well. */
const REFUSALS = 2;
const ATTEMPTS = 5;
const PAUSE_MS = 200;

/**
 * A new token in the place of the one that an edge has, used from then on. The old one works for a while: it is given up for one that works, and not for one that came
 * damaged. Throws what the hub answers; then the old one is used.
 */
export async function takeNewToken(client: HubClient, { node, token: old }: Credential): Promise<Pick<Credential, "token" | "expiresAt">> {
  const { token, expires_at: expiresAt } = await renew(client, node);
  client.useToken(token);
  if (await isRefused(client, node)) {
    client.useToken(old);
    throw new TomboloError("the new token that the hub has given does not work: it came damaged", {
      code: "HUB_UNREACHABLE",
      kind: "connect",
      hint: "Nothing; the one before is kept, and another is asked for.",
    });
  }
  return { token, expiresAt };
}

/** Where nothing else can be learned, it is taken for good: the hub may have seen it used, and gives no other for the old one then. */
async function isRefused(client: HubClient, node: string): Promise<boolean> {
  let refusals = 0;
  for (let attempt = 1; attempt <= ATTEMPTS && refusals < REFUSALS; attempt++) {
    try {
      await hubStatus(client, node);
      return false;
    } catch (error) {
      if (error instanceof TomboloError && error.code === "TOKEN_INVALID") refusals += 1;
      else if (!isPassing(error)) return false;
    }
    await delay(PAUSE_MS);
  }
  return refusals === REFUSALS;
}
