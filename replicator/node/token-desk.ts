import type { NodeName } from "../change/names.ts";

/** What a token lets its holder do: `node` is an edge, the others are people and scripts, each allowed what the one before is. */
export const ROLES = ["node", "viewer", "operator", "admin"] as const;
export type Role = (typeof ROLES)[number];

/** `code` is exchanged for a token, once. */
export type TokenKind = "token" | "code";

/** What is known of a token or an enrolment code. The secret itself is nowhere. */
export interface TokenRecord {
  readonly id: bigint;
  readonly kind: TokenKind;
  /** The part of the token that is no secret, by which it is found. */
  readonly handle: string;
  /** SHA-256 of the whole. */
  readonly hash: Uint8Array;
  readonly name: string;
  readonly role: Role;
  /** Of the role `node` only, as is `group`. */
  readonly node: NodeName | null;
  readonly group: string | null;
  readonly params: { readonly [name: string]: string };
  readonly createdBy: string;
  /** RFC 3339, UTC; null for never. */
  readonly createdAt: string;
  readonly expiresAt: string | null;
  /** How long a token lives that this one gives, by rotation or for a code; null for ever. */
  readonly lifetimeMs: number | null;
  readonly revokedAt: string | null;
  readonly lastUsedAt: string | null;
  /** The token that came in its place: by rotation, or for a code when it was redeemed. */
  readonly replacedBy: bigint | null;
}

/** A secret to be stored, as what it is known by. */
export interface NewSecret {
  readonly handle: string;
  readonly hash: Uint8Array;
  /** Who makes it, for the audit table. */
  readonly by: string;
}

export interface NewIdentity extends Pick<TokenRecord, "kind" | "name" | "role" | "node" | "group" | "params" | "lifetimeMs"> {
  /** Milliseconds until it ends; null for ever. */
  readonly expiresInMs: number | null;
}

/**
 * The tokens and enrolment codes of a topology, kept in its hub. Each change is written to the audit table in the same transaction.
 * Moments are the database's own, so that several processes on different machines agree on what has expired.
 *
 * In force is what is neither revoked nor expired and, of codes, has not been redeemed.
 */
export interface TokenDesk {
  /** The one in force with this handle, read anew every time; its secret is for the caller to compare. */
  find(kind: TokenKind, handle: string): Promise<TokenRecord | null>;
  /** Writes down that the token was used; at most once in five minutes, the others cost nothing. */
  noteUse(token: TokenRecord): Promise<void>;
  issue(identity: NewIdentity, secret: NewSecret): Promise<TokenRecord>;
  /**
   * Exchanges a code for a token of the same identity. Of several that try at once, one gets it; null for the others. Tokens that the
   * node had before are revoked: a node is one database.
   */
  redeem(id: bigint, secret: NewSecret): Promise<TokenRecord | null>;
  /**
   * A new token with the same rights; the old one ends when the grace period does. Rotating again, as after a lost answer, takes back the
   * one that came before. Null where the old one is not in force, or the one that came before has been used: of two holders one is a thief.
   */
  rotate(id: bigint, secret: NewSecret, graceMs: number): Promise<TokenRecord | null>;
  /** Newest first; revoked and expired ones as well. */
  list(filter: TokenFilter): Promise<readonly TokenRecord[]>;
  /** At once, everywhere, together with all that came of it. Null where there is none; revoking again changes nothing. */
  revoke(id: bigint, by: string): Promise<TokenRecord | null>;
}

export interface TokenFilter {
  readonly limit: number;
  /** Only ids below it: the next page. */
  readonly before?: bigint;
  readonly node?: NodeName;
  readonly role?: Role;
  /** Only what is in force. */
  readonly inForce?: boolean;
}

/** How old the last noted use of a token may be: six times as long as an edge at rest waits for an answer. */
export const USE_NOTED_EVERY_MS = 300_000;

/** For the audit table: who and what it is for, never the secret nor its hash. */
export const tokenDetails = ({ id, kind, handle, name, role, node, group, params, expiresAt }: TokenRecord): string =>
  JSON.stringify({ id: id.toString(), kind, handle, name, role, node, group, params, expires_at: expiresAt });
