import { TomboloError } from "../change/error.ts";
import type { NodeName } from "../change/names.ts";

/** How much of its change log a node keeps for readers that are away. */
export interface Retention {
  readonly keepMs: number;
  readonly maxBytes: number;
}

/** A reader that the log is not kept for any longer. */
export interface LeftBehind {
  readonly reader: NodeName;
  /** What it went beyond. */
  readonly limit: "log.keep" | "log.max_size";
}

/** Why a neighbour is `must_resync`; kept with it. */
export const LEFT_BEHIND = "the log is kept no longer for it (log.keep, log.max_size): run a full sync";

export const leftBehind = (reader: NodeName): TomboloError =>
  new TomboloError(`the change log is kept no longer for ${reader}, which was away for too long`, {
    code: "POSITION_UNKNOWN",
    kind: "operator",
    hint: `run \`tombolo full-sync ${reader}\`: what it has not sent yet is not lost`,
  });
