import type { Column, Engine } from "../shape.ts";
import type { Value } from "../value.ts";
import { numbersMayBeText } from "./affinity.ts";
import { float4OfDouble, float8Text } from "./float.ts";
import { MAPPING } from "./mapping.ts";
import { compileNumeric } from "./numeric.ts";
import { type PostgresType, postgresType } from "./postgres-type.ts";
import { refuser } from "./refuse.ts";
import { realOf } from "./same.ts";
import { compileReadText, readInteger } from "./text-forms.ts";
import { textOfReal } from "./to-sqlite.ts";

/**
 * The text for the input function of a Postgres column's type that means exactly the stored value; null for NULL. What Postgres
 * would round, cut, or read by rules of its own is refused; what it prints in another way (an upper-case uuid, `07`) is not.
 * Expects a session with UTC, ISO dates, IntervalStyle postgres and lc_monetary C.
 *
 * Throws `VALUE_REFUSED` (operator).
 */
export function toPostgresText(value: Value, from: Column, fromEngine: Engine, to: Column): string | null {
  return compileToPostgres(from, fromEngine, to)(value);
}

/** `toPostgresText` for one pair of columns: all that depends on the columns alone is decided here, once. */
export function compileToPostgres(from: Column, fromEngine: Engine, to: Column): (value: Value) => string | null {
  const refuse = refuser(from, fromEngine, to, "postgres");
  if (fromEngine === "postgres") {
    return (value) => (value === null || typeof value === "string" ? value : refuse("a Postgres node sends text only"));
  }
  const type = postgresType(to);
  const numericColumn = numbersMayBeText(from.type);
  const { fromSqlite } = MAPPING[type.family];
  const readText = compileReadText(type);
  const readInt = compileReadInteger(type, numericColumn);
  const readReal = compileReadReal(type, numericColumn);
  const only = (accepted: string): string =>
    accepted === "refused" ? "the type takes none of this storage class" : `accepted is: ${accepted}`;

  return (value) => {
    if (value === null) return null;
    if (typeof value === "string") {
      if (value.includes("\0")) return refuse("Postgres text cannot hold U+0000");
      if (!value.isWellFormed()) return refuse("the text is no valid Unicode (a lone surrogate)");
      return readText(value) ?? refuse(`TEXT, ${only(fromSqlite.TEXT)}`);
    }
    if ("i" in value) return readInt(value.i) ?? refuse(`INTEGER, ${only(fromSqlite.INTEGER)}`);
    if ("r" in value) return readReal(realOf(value.r)) ?? refuse(`REAL, ${only(fromSqlite.REAL)}`);
    return type.family === "bytes" ? `\\x${value.b}` : refuse(`BLOB, ${only(fromSqlite.BLOB)}`);
  };
}

/** INTEGER, given as decimal digits. */
function compileReadInteger(type: PostgresType, numericColumn: boolean): (digits: string) => string | undefined {
  switch (type.family) {
    case "integer":
      return (digits) => readInteger(type.base, digits);
    case "boolean":
      return (digits) => (digits === "1" ? "t" : digits === "0" ? "f" : undefined);
    case "float":
      return (digits) => {
        const value = Number(digits);
        return BigInt(value) === BigInt(digits) ? floatText(type.base, value) : undefined;
      };
    case "numeric":
      return compileNumeric(type);
    case "text":
      // a column of numeric affinity turns the text 7 into the number 7: this is its way back
      return numericColumn ? compileReadText(type) : () => undefined;
    default:
      return () => undefined;
  }
}

function compileReadReal(type: PostgresType, numericColumn: boolean): (value: number) => string | undefined {
  switch (type.family) {
    case "integer":
      return (value) => (Number.isInteger(value) && !Object.is(value, -0) ? readInteger(type.base, String(BigInt(value))) : undefined);
    case "boolean":
      return (value) => (value === 1 ? "t" : Object.is(value, 0) ? "f" : undefined);
    case "float":
      return (value) => floatText(type.base, value);
    case "numeric": {
      const read = compileNumeric(type);
      return (value) => (Object.is(value, -0) ? undefined : read(String(value)));
    }
    case "text": {
      if (!numericColumn) return () => undefined;
      const read = compileReadText(type);
      return (value) => {
        const text = textOfReal(value);
        return text === undefined ? undefined : read(text);
      };
    }
    default:
      return () => undefined;
  }
}

const floatText = (base: string, value: number): string | undefined => (base === "float4" ? float4OfDouble(value) : float8Text(value));
