import { type ErrorKind, TomboloError } from "../change/error.ts";
import { isLineCut, lineCut } from "../change/line-cut.ts";

/** What may be shown of an error: names and codes, never row values. */
export interface ErrorDescription {
  readonly code: string;
  readonly kind: ErrorKind | "unexpected";
  readonly message: string;
  readonly hint?: string;
  /** Frames only, for errors that are not ours. */
  readonly stack?: string;
}

/**
 * Our own errors are written to be shown. The text of others may hold row values (`invalid input syntax for type integer: "..."`,
 * `Unexpected token in JSON`), so only that of system errors and of type errors is shown; otherwise name, code and stack.
 */
export function describeError(error: unknown): ErrorDescription {
  if (error instanceof TomboloError) {
    const { code, kind, message, hint } = error;
    return hint === undefined ? { code, kind, message } : { code, kind, message, hint };
  }
  if (!(error instanceof Error))
    return { code: "UNEXPECTED", kind: "unexpected", message: `something was thrown that is no error: ${typeof error}` };
  if (isLineCut(error)) return describeError(lineCut("a connection ended before all was through", error));
  const { code, syscall } = error as NodeJS.ErrnoException;
  const shown = syscall !== undefined || error instanceof TypeError || error instanceof ReferenceError;
  const frames = error.stack?.split("\n").filter((line) => /^\s+at /.test(line));
  return {
    code: typeof code === "string" ? code : "UNEXPECTED",
    kind: "unexpected",
    message: shown ? error.message : `unexpected ${error.name}${typeof code === "string" ? ` ${code}` : ""}`,
    hint: "This is likely a bug in Tombolo: report it with the lines around it.",
    ...(frames === undefined ? {} : { stack: frames.join("\n") }),
  };
}

/** The same on one line, for reports and findings. */
export function errorLine(error: unknown): string {
  const { code, message, hint } = describeError(error);
  return `${message} (${code})${hint === undefined ? "" : `. ${hint}`}`;
}

/** The same as JSON answers carry it. */
export interface ErrorReport {
  readonly code: string;
  readonly message: string;
  readonly hint: string | null;
}

export function errorReport(error: unknown): ErrorReport {
  const { code, message, hint } = describeError(error);
  return { code, message, hint: hint ?? null };
}
