import { compileDateTime, holdsPlainDates, isDateTime } from "./date-time.ts";
import { parseDecimal, sameDecimal } from "./decimal.ts";
import { float4Text, float8Text } from "./float.ts";
import { compileNumeric, specialNumber } from "./numeric.ts";
import type { PostgresType } from "./postgres-type.ts";

/** Reads SQLite TEXT as a value of the type; answers the text for Postgres, or undefined when it would not mean exactly the same. */
export type ReadText = (text: string) => string | undefined;

/** Chooses the reading for a type. U+0000 and broken Unicode are the caller's. */
export function compileReadText(type: PostgresType): ReadText {
  switch (type.family) {
    case "integer":
      return (text) => readInteger(type.base, text.trim());
    case "boolean":
      return readBoolean;
    case "float":
      return (text) => readFloat(type.base, text.trim());
    case "numeric":
      return compileNumeric(type);
    case "bytes":
      // Postgres would take it for its escape format
      return () => undefined;
    default:
      return compileForm(type);
  }
}

const RANGES: { readonly [type: string]: readonly [bigint, bigint] } = {
  int2: [-(2n ** 15n), 2n ** 15n - 1n],
  int4: [-(2n ** 31n), 2n ** 31n - 1n],
  int8: [-(2n ** 63n), 2n ** 63n - 1n],
  oid: [0n, 2n ** 32n - 1n],
};
const PRINTED = /^(?:0|-?[1-9]\d*)$/;
/** A type that holds every whole number of so many characters. */
const SURELY_HELD: { readonly [type: string]: number } = { int4: 9, int8: 18 };
const INTEGER = /^[+-]?\d{1,40}$/;

export function readInteger(base: string, text: string): string | undefined {
  if (text.length <= (SURELY_HELD[base] ?? 0) && PRINTED.test(text)) return text;
  const range = RANGES[base];
  if (range === undefined || !INTEGER.test(text)) return undefined;
  const value = BigInt(text.startsWith("+") ? text.slice(1) : text);
  return value >= range[0] && value <= range[1] ? String(value) : undefined;
}

/** Every prefix of these that Postgres takes: one letter, except for `on` and `off`. */
const TRUE = new Set(["t", "tr", "tru", "true", "y", "ye", "yes", "on", "1"]);
const FALSE = new Set(["f", "fa", "fal", "fals", "false", "n", "no", "of", "off", "0"]);

function readBoolean(text: string): string | undefined {
  const word = text.trim().toLowerCase();
  if (TRUE.has(word)) return "t";
  return FALSE.has(word) ? "f" : undefined;
}

function readFloat(base: string, text: string): string | undefined {
  const special = specialNumber(text);
  if (special !== undefined) return special;
  const decimal = parseDecimal(text);
  if (decimal === null) return undefined;
  const value = base === "float4" ? Math.fround(Number(text)) : Number(text);
  if (!Number.isFinite(value)) return undefined;
  const printed = base === "float4" ? float4Text(value) : float8Text(value);
  const back = parseDecimal(printed);
  return back !== null && sameDecimal(decimal, back) ? printed : undefined;
}

const UUID = /^[0-9a-f]{32}$/;
const MONEY = /^-?\$?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d{1,2})?$/;
/** The server's limits, in bytes. */
const NAME_BYTES = 63;

/** Types whose text goes to Postgres as it is, but for those where Postgres would silently make another value of it. */
function compileForm(type: PostgresType): ReadText {
  const [length] = type.modifiers;
  if (isTemporalCollection(type)) return (text) => (holdsPlainDates(text) ? text : undefined);
  if (type.array) return (text) => text;
  if (isDateTime(type.base)) return compileDateTime(type);
  switch (type.base) {
    case "varchar":
      // blanks beyond the length would be cut off without an error
      return length === undefined ? (text) => text : (text) => (characters(text) <= length ? text : undefined);
    case "bpchar":
      return length === undefined ? (text) => text : (text) => (characters(text.replace(/ +$/, "")) <= length ? text : undefined);
    case "name":
      return (text) => (Buffer.byteLength(text) <= NAME_BYTES ? text : undefined);
    case "char":
      // one byte; others are printed in octal since 16
      return (text) => (Buffer.byteLength(text) <= 1 || /^\\[0-7]{3}$/.test(text) ? text : undefined);
    case "interval":
      return compileInterval(length);
    case "uuid":
      return readUuid;
    case "money":
      return (text) => (MONEY.test(text) ? text : undefined);
    default:
      return (text) => text;
  }
}

function isTemporalCollection(type: PostgresType): boolean {
  return (
    /^_?(?:date|time|timetz|timestamp|timestamptz|daterange|tsrange|tstzrange|datemultirange|tsmultirange|tstzmultirange)$/.test(
      type.base,
    ) && !isDateTime(type.base)
  );
}

function characters(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}

/** An interval's fraction of a second beyond what is stored would be rounded. */
function compileInterval(digits = 6): ReadText {
  const beyond = new RegExp(String.raw`\.\d{${digits}}\d*[1-9]`);
  return (text) => (beyond.test(text) ? undefined : text);
}

/** Any of Postgres' spellings, as it prints it. */
function readUuid(text: string): string | undefined {
  const digits = text
    .replace(/^\{(.*)\}$/, "$1")
    .replaceAll("-", "")
    .toLowerCase();
  if (!UUID.test(digits)) return undefined;
  return `${digits.slice(0, 8)}-${digits.slice(8, 12)}-${digits.slice(12, 16)}-${digits.slice(16, 20)}-${digits.slice(20)}`;
}
