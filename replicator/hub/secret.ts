import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { TokenKind, TokenRecord } from "../node/token-desk.ts";

/**
 * A secret is `tbl_`, or `tbc_` for an enrolment code, then a handle by which it is found, then 256 random bits. The prefix lets scanners
 * recognise one that has got into a repository or a log.
 */
const PREFIX: Readonly<Record<TokenKind, string>> = { token: "tbl", code: "tbc" };
const FORM = /^(tbl|tbc)_([0-9a-f]{16})_[A-Za-z0-9_-]{43}$/;

/** What is stored of a secret. */
export interface SecretParts {
  readonly kind: TokenKind;
  readonly handle: string;
  readonly hash: Uint8Array;
}

/** A new secret: its text is shown once and kept nowhere. */
export function newSecret(kind: TokenKind): SecretParts & { readonly text: string } {
  const handle = randomBytes(8).toString("hex");
  const text = `${PREFIX[kind]}_${handle}_${randomBytes(32).toString("base64url")}`;
  return { text, kind, handle, hash: digest(text) };
}

/** Null for what cannot be one of ours. */
export function readSecret(text: string): SecretParts | null {
  const [, prefix, handle] = FORM.exec(text) ?? [];
  if (handle === undefined) return null;
  return { kind: prefix === PREFIX.token ? "token" : "code", handle, hash: digest(text) };
}

const NOBODY = digest("");

/**
 * Whether the secret is that of the record, in a time that tells nothing about how much of it is right. Where the handle is nobody's, as
 * much is compared all the same.
 */
export function isSecretOf(secret: SecretParts, record: TokenRecord | null): record is TokenRecord {
  const same = timingSafeEqual(secret.hash, record?.hash.length === secret.hash.length ? record.hash : NOBODY);
  return same && record !== null;
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
