import { TomboloError } from "../change/error.ts";
import type { Row } from "../change/value.ts";
import type { ConflictRecord } from "./conflict-desk.ts";

export const conflictUnknown = (node: string, id: bigint): TomboloError =>
  new TomboloError(`${node} has no conflict ${id} in its history`, {
    code: "CONFLICT_UNKNOWN",
    kind: "usage",
    hint: "See `tombolo conflicts list`; what was resolved is forgotten after history.keep.",
  });

export const decidedMeanwhile = (record: ConflictRecord): TomboloError =>
  new TomboloError(`${record.resolvedBy ?? "someone"} has decided conflict ${record.id} meanwhile`, {
    code: "CONFLICT_DECIDED",
    kind: "operator",
    hint: "Nothing was done. Look at it again, and decide anew if that is still right.",
  });

/** The row is no longer what the conflict left behind. @param changed in these columns; empty where the row came or went. */
export function rowChanged(record: ConflictRecord, changed: readonly string[], now: Row | null): TomboloError {
  const how = changed.length > 0 ? `has changed since in ${changed.join(", ")}` : now === null ? "is gone" : "is there again";
  return new TomboloError(`the row of conflict ${record.id} in ${record.table} ${how}`, {
    code: "CONFLICT_ROW_CHANGED",
    kind: "operator",
    hint: "Nothing was done. Look at the row as it is now; --force decides all the same.",
  });
}

export const rowRefused = (reason: string): TomboloError =>
  new TomboloError(`the database refuses the row: ${reason}`, {
    code: "CONFLICT_REFUSED",
    kind: "operator",
    hint: "Nothing was done. Decide otherwise, or give other values with --set.",
  });

export const valueRefused = (column: string, type: string, reason: string): TomboloError =>
  new TomboloError(`the value given for ${column} is none for its type${type === "" ? "" : ` ${type}`}: ${reason}`, {
    code: "CONFLICT_REFUSED",
    kind: "operator",
    hint: "Nothing was done. Give another value with --set.",
  });
