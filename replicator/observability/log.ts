import { type DestinationStream, destination, type Level, type Logger, pino, stdTimeFunctions } from "pino";
import { describeError } from "./describe-error.ts";
import type { LogFormat, LogLevel } from "./log-options.ts";

export type { Logger } from "pino";

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** Standard error by default. */
  readonly stream?: DestinationStream;
}

/** Whatever a caller puts under these names does not get out, at the top or one level down. */
const SECRETS = ["url", "password", "token", "connectionString"].flatMap((name) => [name, `*.${name}`]);

/** Log lines go out at once (`sync`), so that the last one before the end of the process is there. Errors under `err` are described, see `describeError`. */
export async function createLogger(options: LogOptions): Promise<Logger> {
  const settings = {
    level: options.level as Level,
    base: null,
    timestamp: stdTimeFunctions.isoTime,
    redact: { paths: SECRETS, censor: "***" },
    serializers: { err: describeError },
    formatters: { level: (label: string) => ({ level: label }) },
  };
  const stream = options.stream ?? destination({ dest: 2, sync: true });
  if (options.format === "json") return pino(settings, stream);
  const { default: pretty } = await import("pino-pretty");
  return pino(
    settings,
    pretty({ destination: options.stream ?? 2, sync: true, singleLine: true, colorize: colors(options), translateTime: "SYS:HH:MM:ss.l" }),
  );
}

function colors(options: LogOptions): boolean {
  return options.stream === undefined && process.stderr.isTTY === true && process.env.NO_COLOR === undefined;
}
