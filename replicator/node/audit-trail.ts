/** Something that a person, or a token, did. */
export interface AuditRecord {
  readonly id: bigint;
  /** RFC 3339, UTC. */
  readonly at: string;
  readonly who: string;
  /** e.g. `conflict resolved`, `token revoked`. */
  readonly what: string;
  /** Names, never values of rows and never secrets; null where there are none. */
  readonly details: { readonly [name: string]: unknown } | null;
}

export interface AuditFilter {
  readonly limit: number;
  /** Only ids below it: the next page. */
  readonly before?: bigint;
  readonly who?: string;
  readonly what?: string;
}

/** Who did what in a node, and when. Only ever added to; what else is done in the node's database is written in the same transaction. */
export interface AuditTrail {
  record(entry: Pick<AuditRecord, "who" | "what" | "details">): Promise<void>;
  /** Newest first. */
  list(filter: AuditFilter): Promise<readonly AuditRecord[]>;
}
