import type { Parts } from "../lifecycle/parts.ts";
import type { Logger } from "../observability/log.ts";
import type { LogFormat, LogLevel } from "../observability/log-options.ts";
import type { ExitCode } from "./exit-codes.ts";
import type { Output } from "./output.ts";

/** A verb of the command line: how it is called, and where what it does is found. All are in verbs.ts. */
export interface Verb {
  /** One word, or two for a verb of a group: `nodes pause`. */
  readonly name: string;
  readonly summary: string;
  /** As commander writes them, e.g. `<node>`. */
  readonly arguments?: string;
  readonly options?: readonly VerbOption[];
  readonly examples: readonly string[];
  /** Called once the verb is chosen. */
  load(): Promise<RunVerb>;
}

/** What a verb does, one file each. Answers the exit code, or throws: then the code follows from the error's kind. */
export type RunVerb = (context: CommandContext, input: VerbInput) => Promise<ExitCode>;

export interface VerbOption {
  /** As commander writes them, e.g. `--out <file>`. */
  readonly flags: string;
  readonly description: string;
  readonly default?: string;
  /** `<x>` may be given more than once: its value is then an array of strings. */
  readonly repeatable?: boolean;
}

export interface VerbInput {
  readonly args: readonly string[];
  /** By the long name in camel case. Flags are booleans, `<x>` strings, `<x...>` string arrays. */
  readonly options: Readonly<Record<string, string | boolean | readonly string[] | undefined>>;
}

/** What every verb gets. */
export interface CommandContext {
  readonly parts: Parts;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Path of the topology file, as given. */
  readonly file: string;
  /** True when the answer is to be JSON. */
  readonly json: boolean;
  readonly out: Output;
  /** Loaded where something is logged; the same at every call. */
  readonly logger: () => Promise<Logger>;
  readonly version: string;
}

export interface GlobalOptions {
  readonly config: string;
  readonly json?: boolean;
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
}

/** The value of `--name x`; undefined when it was not given. */
export function text(input: VerbInput, name: string): string | undefined {
  const value = input.options[name];
  return typeof value === "string" ? value : undefined;
}

export const flag = (input: VerbInput, name: string): boolean => input.options[name] === true;

export function list(input: VerbInput, name: string): readonly string[] {
  const value = input.options[name];
  return Array.isArray(value) ? value : [];
}
