import { createHmac } from "node:crypto";

/** The key that a secret stands for: base64 after `whsec_`, the text's bytes otherwise. */
const keyOf = (secret: string): Buffer =>
  secret.startsWith("whsec_") ? Buffer.from(secret.slice("whsec_".length), "base64") : Buffer.from(secret, "utf8");

/**
 * The headers of Standard Webhooks (https://www.standardwebhooks.com): HMAC-SHA256 over `id.timestamp.body`, so that neither the body nor the time can be
 * changed, and what was caught on the way cannot be played back later. `at` in ms since 1970.
 */
export function signedHeaders(message: {
  readonly id: string;
  readonly at: number;
  readonly body: string;
  readonly secret: string | null;
}) {
  const { id, at, body, secret } = message;
  const timestamp = String(Math.floor(at / 1000));
  const headers = { "webhook-id": id, "webhook-timestamp": timestamp };
  if (secret === null) return headers;
  const signature = createHmac("sha256", keyOf(secret)).update(`${id}.${timestamp}.${body}`).digest("base64");
  return { ...headers, "webhook-signature": `v1,${signature}` };
}
