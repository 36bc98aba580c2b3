import type { Column, Engine } from "../shape.ts";
import type { Value } from "../value.ts";
import { type ColumnKind, columnKind, numbersMayBeText } from "./affinity.ts";
import { type Cell, MAPPING } from "./mapping.ts";
import { numericOfReal } from "./numeric.ts";
import { type PostgresType, postgresType, scaleOf } from "./postgres-type.ts";
import { type Refuse, refuser } from "./refuse.ts";
import { realOf } from "./same.ts";
import { type Bindable, becomesInteger, isInt64, looksLikeNumber, survives } from "./storage.ts";

export type { Bindable } from "./storage.ts";

type Encode = (text: string) => Bindable;

/**
 * What to bind for a value so that SQLite stores exactly it (better-sqlite3, safe integers): after affinity, it reads back
 * through `toPostgresText` as the text that Postgres printed. A value from SQLite stays what it is.
 *
 * Throws `VALUE_REFUSED` (operator) when the column cannot hold the value exactly.
 */
export function toSqlite(value: Value, from: Column, fromEngine: Engine, to: Column, strict: boolean): Bindable {
  return compileToSqlite(from, fromEngine, to, strict)(value);
}

/** `toSqlite` for one pair of columns: all that depends on the columns alone is decided here, once. */
export function compileToSqlite(from: Column, fromEngine: Engine, to: Column, strict: boolean): (value: Value) => Bindable {
  const kind = columnKind(to.type, strict);
  const refuse = refuser(from, fromEngine, to, "sqlite");
  if (fromEngine === "sqlite") return compileCopy(kind, refuse);
  const type = postgresType(from);
  const encode = compileEncode(type, kind, { cell: MAPPING[type.family].cells[kind], numericText: numbersMayBeText(to.type), refuse });
  return (value) => {
    if (value === null) return null;
    if (typeof value !== "string") return refuse("a Postgres node sends text only");
    return encode(value);
  };
}

/** SQLite to SQLite. */
function compileCopy(kind: ColumnKind, refuse: Refuse): (value: Value) => Bindable {
  return (value) => {
    const bound = bindable(value);
    return survives(bound, kind) ? bound : refuse(`the column would not store the ${storageClass(value)} as it is`);
  };
}

/** A SQLite value as better-sqlite3 binds it. */
export function bindable(value: Value): Bindable {
  if (value === null || typeof value === "string") return value;
  if ("i" in value) return BigInt(value.i);
  return "r" in value ? realOf(value.r) : Buffer.from(value.b, "hex");
}

function storageClass(value: Value): "NULL" | "TEXT" | "INTEGER" | "REAL" | "BLOB" {
  if (value === null) return "NULL";
  if (typeof value === "string") return "TEXT";
  if ("i" in value) return "INTEGER";
  return "r" in value ? "REAL" : "BLOB";
}

interface EncodeOptions {
  readonly cell: Cell;
  /** Text that is a number in its plain form may be stored as that number. */
  readonly numericText: boolean;
  readonly refuse: Refuse;
}

function compileEncode(type: PostgresType, kind: ColumnKind, { cell, numericText, refuse }: EncodeOptions): Encode {
  if (cell.as === null) return () => refuse("a column of this kind holds no value of the type");
  const orRefuse =
    (convert: (text: string) => Bindable | undefined): Encode =>
    (text) =>
      convert(text) ?? refuse(cell.except === undefined ? "it is not what the type prints" : `refused are ${cell.except}`);
  switch (type.family) {
    case "integer":
      return cell.as === "TEXT" ? asPrinted : orRefuse(kind === "real" || kind === "strict_real" ? wholeDouble : wholeNumber);
    case "boolean":
      return cell.as === "TEXT" ? asPrinted : orRefuse(truth);
    case "float":
      return cell.as === "TEXT" ? asPrinted : orRefuse((text) => float(text, kind));
    case "numeric": {
      const scale = scaleOf(type);
      return cell.as === "TEXT" ? asPrinted : orRefuse((text) => numeric(text, scale, kind));
    }
    case "bytes":
      return orRefuse(bytes);
    default: {
      if (kind !== "number" && kind !== "real") return asPrinted;
      const number = type.family === "text" && numericText ? (text: string) => numberInText(text, kind) : () => undefined;
      return orRefuse((text) => (looksLikeNumber(text) ? number(text) : text));
    }
  }
}

const asPrinted: Encode = (text) => text;

const DIGITS = /^-?\d+$/;

const wholeNumber = (text: string): bigint | undefined => (DIGITS.test(text) ? BigInt(text) : undefined);

/** An integer for a REAL column: only those that a double holds, which is how SQLite will store it. */
function wholeDouble(text: string): bigint | undefined {
  const whole = wholeNumber(text);
  return whole !== undefined && BigInt(Number(whole)) === whole ? whole : undefined;
}

const truth = (text: string): bigint | undefined => (text === "t" ? 1n : text === "f" ? 0n : undefined);

function float(text: string, kind: ColumnKind): Bindable | undefined {
  if (text === "NaN") return kind === "strict_real" || kind === "strict_integer" ? undefined : text;
  const value = Number(text);
  if (text === "" || Number.isNaN(value)) return undefined;
  if (kind === "none") return value;
  if (Object.is(value, -0)) return undefined;
  return kind === "strict_integer" && !becomesInteger(value) ? undefined : value;
}

/** A numeric for a column that stores numbers: as INTEGER or REAL when that reads back as the same digits. */
function numeric(text: string, scale: number | undefined, kind: ColumnKind): Bindable | undefined {
  const integers = kind === "number" || kind === "strict_integer";
  if (text === "NaN") return kind === "number" || kind === "real" ? text : undefined;
  if (text === "Infinity" || text === "-Infinity") return kind === "strict_integer" ? undefined : Number(text);
  if (integers) {
    const whole = wholePart(text, scale);
    if (whole !== undefined && isInt64(whole)) return whole;
    if (kind === "strict_integer") return undefined;
  }
  const value = Number(text);
  return numericOfReal(value, scale) === text ? value : undefined;
}

/** The integer of a numeric without fraction whose zeros after the point are those of its declared scale, so that they come back. */
function wholePart(text: string, scale: number | undefined): bigint | undefined {
  const point = text.indexOf(".");
  if (point < 0) return (scale ?? 0) <= 0 ? wholeNumber(text) : undefined;
  if (scale !== text.length - point - 1) return undefined;
  for (let at = point + 1; at < text.length; at++) if (text.charCodeAt(at) !== 0x30) return undefined;
  return wholeNumber(text.slice(0, point));
}

function bytes(text: string): Buffer | undefined {
  if (!text.startsWith("\\x")) return undefined;
  const buffer = Buffer.from(text.slice(2), "hex");
  // Buffer stops at the first character that is no hex digit
  return buffer.length * 2 === text.length - 2 ? buffer : undefined;
}

/** Text that SQLite takes for a number: only when the number prints as that very text again. */
function numberInText(text: string, kind: ColumnKind): bigint | number | undefined {
  if (kind === "number" && DIGITS.test(text)) {
    const whole = BigInt(text);
    if (isInt64(whole) && String(whole) === text) return whole;
  }
  const value = Number(text);
  return textOfReal(value) === text ? value : undefined;
}

/** How a REAL reads as text of a text type; undefined where it has no plain decimal. */
export function textOfReal(value: number): string | undefined {
  if (!Number.isFinite(value) || Object.is(value, -0)) return undefined;
  const text = String(value);
  return text.includes("e") ? undefined : text;
}
