import { TomboloError } from "../change/error.ts";
import type { Credential } from "./credential.ts";
import { hubStatus, renew } from "./hub-answers.ts";
import type { HubClient } from "./hub-client.ts";

/**
 * A new token in the place of the one that an edge has, used from then on. The old one works for a while: it is given up for one that works, and not for one that came
 * damaged. Throws what the hub answers; then the old one is used.
 */
export async function takeNewToken(client: HubClient, { node, token: old }: Credential): Promise<Pick<Credential, "token" | "expiresAt">> {
  const { token, expires_at: expiresAt } = await renew(client, node);
  client.useToken(token);
  try {
    await hubStatus(client, node);
  } catch (error) {
    client.useToken(old);
    if (!(error instanceof TomboloError) || error.code !== "TOKEN_INVALID") throw error;
    throw new TomboloError("the new token that the hub has given does not work: it came damaged", {
      ...{ code: "HUB_UNREACHABLE", kind: "connect", cause: error },
      hint: "Nothing; the one before is kept, and another is asked for.",
    });
  }
  return { token, expiresAt };
}
