/**
 * The one error class of the product.
 *
 * `kind` decides what the caller does:
 * - `retry`: passes by itself (a database that restarts, a lock, a serialization failure): back off and try again;
 * - `operator`: stops this table, link or node until a person acts; the others go on;
 * - `usage`: the command line or the configuration is wrong (exit 2);
 * - `connect`: a database cannot be reached (exit 4), retried by `run`;
 * - `newer`: the database belongs to a newer Tombolo (exit 5);
 * - `fatal`: a broken invariant; the process stops.
 *
 * Messages and hints hold names and codes, never row values and never secrets.
 */
export type ErrorKind = "retry" | "operator" | "usage" | "connect" | "newer" | "fatal";

export interface ErrorDetails {
  /** Stable, e.g. `TABLE_WITHOUT_KEY`; listed in docs/errors.md, which is generated from `error-codes.ts`. */
  code: string;
  kind: ErrorKind;
  /** What to do about it, one sentence in the imperative. */
  hint?: string;
  cause?: unknown;
}

export class TomboloError extends Error {
  readonly code: string;
  readonly kind: ErrorKind;
  readonly hint: string | undefined;

  constructor(message: string, details: ErrorDetails) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = "TomboloError";
    this.code = details.code;
    this.kind = details.kind;
    this.hint = details.hint;
  }
}

/** Whether it passes by itself, or with a connection that comes back: what was begun is worth going on with. */
export const isPassing = (error: unknown): boolean => error instanceof TomboloError && (error.kind === "connect" || error.kind === "retry");

/** SQLSTATE `deadlock_detected`, as the server says it and as the product does. */
const DEADLOCK = "40P01";
const MET: ReadonlySet<unknown> = new Set(["APPLY_GAVE_WAY", DEADLOCK, `POSTGRES_${DEADLOCK}`]);

/** Whether a packet's transaction and another waited for each other's locks, and the packet's gave way. */
export const hasMet = (error: unknown): boolean => MET.has((error as { readonly code?: unknown } | null | undefined)?.code);
