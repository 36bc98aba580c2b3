import type { Epoch } from "../change/names.ts";

/** Who a node is, read when it is opened. */
export interface NodeIdentity {
  readonly epoch: Epoch;
  /** The node's clock minus this process's clock, milliseconds, from the middle of the fastest of a few round trips. */
  readonly clockOffsetMs: number;
  /** e.g. `PostgreSQL 15.18`, `SQLite 3.53.4`. */
  readonly version: string;
}
