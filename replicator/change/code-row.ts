import type { ErrorKind } from "./error.ts";

/**
 * What a code comes with: an error (see `ErrorKind`), a finding of `plan`, `doctor` or the check of every cycle, a change that was
 * parked, or a notice in the log. A code that comes with several is listed with the one that a person meets first.
 */
export type CodeKind = ErrorKind | "finding" | "parked" | "notice";

/** Code, kind, what it means, what to do about it. */
export type CodeRow = readonly [code: string, kind: CodeKind, meaning: string, remedy: string];
