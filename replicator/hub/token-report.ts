import type { Role, TokenKind, TokenRecord } from "../node/token-desk.ts";

/** A token as `tokens list --json` prints it and the service answers it: never its secret, nor the hash of it. */
export interface TokenReport {
  readonly id: string;
  readonly kind: TokenKind;
  readonly handle: string;
  readonly name: string;
  readonly role: Role;
  readonly node: string | null;
  readonly group: string | null;
  readonly params: { readonly [name: string]: string };
  readonly state: "in_force" | "expired" | "revoked" | "redeemed";
  readonly created_by: string;
  readonly created_at: string;
  readonly expires_at: string | null;
  readonly revoked_at: string | null;
  readonly last_used_at: string | null;
  readonly replaced_by: string | null;
}

/** @param now of this process, ms: what is about to expire may be told a moment off, what is refused is decided by the database. */
export const tokenReport = (record: TokenRecord, now: number): TokenReport => ({
  id: record.id.toString(),
  kind: record.kind,
  handle: record.handle,
  name: record.name,
  role: record.role,
  node: record.node,
  group: record.group,
  params: record.params,
  state: stateOf(record, now),
  created_by: record.createdBy,
  created_at: record.createdAt,
  expires_at: record.expiresAt,
  revoked_at: record.revokedAt,
  last_used_at: record.lastUsedAt,
  replaced_by: record.replacedBy?.toString() ?? null,
});

function stateOf({ kind, revokedAt, replacedBy, expiresAt }: TokenRecord, now: number): TokenReport["state"] {
  if (revokedAt !== null) return "revoked";
  if (kind === "code" && replacedBy !== null) return "redeemed";
  return expiresAt !== null && Date.parse(expiresAt) <= now ? "expired" : "in_force";
}
