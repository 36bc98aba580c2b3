import { type ErrorKind, TomboloError } from "../change/error.ts";

/** What the command answers to the shell; part of the contract. */
export const EXIT = { done: 0, failed: 1, usage: 2, found: 3, connect: 4, newer: 5 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

const BY_KIND: Readonly<Record<ErrorKind, ExitCode>> = {
  retry: EXIT.failed,
  operator: EXIT.failed,
  fatal: EXIT.failed,
  usage: EXIT.usage,
  connect: EXIT.connect,
  newer: EXIT.newer,
};

export function exitCodeOf(error: unknown): ExitCode {
  return error instanceof TomboloError ? BY_KIND[error.kind] : EXIT.failed;
}

/** Most telling first: what a person must correct before anything else makes sense. */
const WORST_FIRST: readonly ExitCode[] = [EXIT.usage, EXIT.newer, EXIT.connect, EXIT.failed, EXIT.found];

/** One code for several results. */
export function worst(codes: readonly ExitCode[]): ExitCode {
  return WORST_FIRST.find((code) => codes.includes(code)) ?? EXIT.done;
}
