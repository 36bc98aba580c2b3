import { readPostgresUrl } from "./location.ts";
import type { Topology } from "./topology.ts";

const HIDDEN = "***";
/** Connection parameters that hold a secret, in a URL's query or in a `key=value` connection string. */
const SECRET_PARAMETER = /\b(password|sslpassword|passphrase)(\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s&#]+)/gi;

/**
 * A connection URL that may be printed: without its password. Takes everything from the first colon of the authority to the
 * last `@` for the password, so that one whose special characters were not percent-encoded is hidden whole too.
 */
export function redact(url: string): string {
  return url.replace(/^([a-z][a-z0-9+.-]*:\/\/[^:/?#@]*):.*@/is, `$1:${HIDDEN}@`).replace(SECRET_PARAMETER, `$1$2${HIDDEN}`);
}

/**
 * Text that may be printed: without any of `secrets` (as they are, or percent-encoded) and without the password of any
 * connection URL in it.
 */
export function redactText(text: string, secrets: readonly string[]): string {
  const forms = new Set(secrets.flatMap((secret) => [secret, encoded(secret)]).filter((form) => form !== ""));
  // the longest first: one secret may be a part of another
  const longestFirst = [...forms].sort((a, b) => b.length - a.length);
  let result = text;
  for (const form of longestFirst) result = result.replaceAll(form, HIDDEN);
  return result.replace(/\b([a-z][a-z0-9+.-]*:\/\/[^\s:/?#@]*):[^\s"'`]*@/gi, `$1:${HIDDEN}@`).replace(SECRET_PARAMETER, `$1$2${HIDDEN}`);
}

/** The passwords in a topology's connection URLs, for `redactText`. */
export function secretsOf(topology: Topology): string[] {
  const secrets = new Set<string>();
  for (const node of topology.nodes) {
    const url = node.type === "postgres" ? readPostgresUrl(node.url) : null;
    if (url === null) continue;
    const values = [url.password, url.searchParams.get("password"), url.searchParams.get("sslpassword")];
    for (const value of values) {
      if (value === null || value === "") continue;
      secrets.add(value).add(decoded(value));
    }
  }
  return [...secrets];
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // not percent-encoded after all
  }
}

function encoded(text: string): string {
  try {
    return encodeURIComponent(text);
  } catch {
    return ""; // a lone surrogate has no encoded form
  }
}
