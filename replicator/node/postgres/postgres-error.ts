import { type ErrorKind, TomboloError } from "../../change/error.ts";
import { isTooLong } from "./client.ts";
import * as state from "./sqlstate.ts";

/** What the driver throws for an error of the server. Its `detail`, and for some classes its message, hold row values. */
interface ServerError extends Error {
  readonly code: string;
  readonly severity?: string;
  readonly schema?: string;
  readonly table?: string;
  readonly column?: string;
  readonly constraint?: string;
}

const AWAY = new Set([
  state.ADMIN_SHUTDOWN,
  state.CRASH_SHUTDOWN,
  state.CANNOT_CONNECT_NOW,
  state.IDLE_SESSION_TIMEOUT,
  state.TOO_MANY_CONNECTIONS,
  state.INVALID_CATALOG_NAME,
  // a primary that became a standby, or is about to
  state.READ_ONLY_TRANSACTION,
]);
const PASSING = new Set([
  state.SERIALIZATION_FAILURE,
  state.DEADLOCK_DETECTED,
  state.OBJECT_IN_USE,
  state.LOCK_NOT_AVAILABLE,
  state.QUERY_CANCELED,
  state.IDLE_IN_TRANSACTION_TIMEOUT,
  // what went wrong before it is not known here
  state.IN_FAILED_TRANSACTION,
]);
/** Their messages quote the value that was refused. */
const QUOTING = new Set([state.CLASS_DATA, state.CLASS_INTEGRITY, state.CLASS_PLPGSQL]);

/**
 * An error of the driver or the server as ours: `connect` when the database is away, `retry` when the same thing may work the next time,
 * `operator` otherwise. Code `POSTGRES_` and the SQLSTATE, or `POSTGRES_UNREACHABLE`. Holds no row values. One of ours passes unchanged.
 */
export function postgresError(error: unknown): TomboloError {
  if (error instanceof TomboloError) return error;
  if (!isServerError(error)) return unreachable(error);
  const { code } = error;
  const group = code.slice(0, 2);
  const quoting = QUOTING.has(group);
  const message = quoting ? `Postgres refused a value (${[code, ...places(error)].join(", ")})` : `Postgres: ${error.message} (${code})`;
  const hint = hintOf(code);
  return new TomboloError(message, {
    code: `POSTGRES_${code}`,
    kind: kindOf(code),
    ...(hint === undefined ? {} : { hint }),
    ...(quoting ? {} : { cause: error }),
  });
}

/** True for an error that the server itself reported, with its SQLSTATE in `code`. */
export function isServerError(error: unknown): error is ServerError {
  return (
    error instanceof Error && "code" in error && typeof error.code === "string" && /^[0-9A-Z]{5}$/.test(error.code) && "severity" in error
  );
}

function kindOf(code: string): ErrorKind {
  const group = code.slice(0, 2);
  if (AWAY.has(code) || group === state.CLASS_CONNECTION || group === state.CLASS_AUTHORIZATION) return "connect";
  if (PASSING.has(code) || group === state.CLASS_RESOURCES) return "retry";
  return "operator";
}

function hintOf(code: string): string | undefined {
  if (code.startsWith(state.CLASS_AUTHORIZATION)) return "Check user and password in the node's URL, and pg_hba.conf.";
  if (code === state.PROTOCOL_VIOLATION) return "A pooler may be in front of the server: give the node the URL of the server itself.";
  if (code === state.INVALID_CATALOG_NAME) return "Check the database name in the node's URL.";
  if (code === state.TOO_MANY_CONNECTIONS) return "Raise max_connections, or close connections.";
  if (code === state.INSUFFICIENT_PRIVILEGE) return "Run `tombolo doctor`: it names the privilege that the role lacks.";
  return undefined;
}

function places(error: ServerError): string[] {
  const table = error.table === undefined ? [] : [`table ${error.schema ?? ""}.${error.table}`];
  const column = error.column === undefined ? [] : [`column ${error.column}`];
  const constraint = error.constraint === undefined ? [] : [`constraint ${error.constraint}`];
  return [...table, ...column, ...constraint];
}

const valueTooLarge = (): TomboloError =>
  new TomboloError("a row holds a value, or its image in the change log is a text, of more than 512 MB: it cannot be read", {
    code: "VALUE_TOO_LARGE",
    kind: "operator",
    hint: "Make the value smaller, or `exclude` its column; what the log holds of it is passed over by `tombolo nodes resync`.",
  });

/** Whatever is not an answer of the server: a socket that broke, a name that does not resolve, a time-out of the driver. */
function unreachable(error: unknown): TomboloError {
  if (isTooLong(error)) return valueTooLarge();
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError) {
    return new TomboloError(message, { code: "INTERNAL", kind: "fatal", cause: error });
  }
  return new TomboloError(`Postgres cannot be reached: ${message}`, {
    code: "POSTGRES_UNREACHABLE",
    kind: "connect",
    hint: "Check host and port in the node's URL, and that the server runs.",
    cause: error,
  });
}
