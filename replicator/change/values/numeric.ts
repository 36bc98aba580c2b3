import { type Decimal, fractionDigits, parseDecimal, plain } from "./decimal.ts";
import { type PostgresType, scaleOf } from "./postgres-type.ts";

/** Postgres' own limits for numeric. */
const MAX_WHOLE_DIGITS = 131_072;
const MAX_FRACTION_DIGITS = 16_383;

/**
 * A REAL as the numeric text that Postgres prints with this scale: a REAL means its shortest decimal (0.1, not
 * 0.1000000000000000055…). Undefined where the scale would round it, and for -0, which numeric has not.
 */
export function numericOfReal(value: number, scale: number | undefined): string | undefined {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? undefined : String(value);
  if (Object.is(value, -0)) return undefined;
  const text = String(value);
  if (scale === undefined && !text.includes("e")) return text;
  const decimal = parseDecimal(text);
  return decimal === null ? undefined : scaled(decimal, scale);
}

/** A decimal in the digits of a numeric with this scale; undefined where Postgres would round it. */
function scaled(decimal: Decimal, scale: number | undefined): string | undefined {
  if (scale === undefined) return plain(decimal);
  if (fractionDigits(decimal) > Math.max(scale, 0)) return undefined;
  // a negative scale rounds digits before the point
  if (scale < 0 && decimal.digits !== "" && decimal.point - decimal.digits.length < -scale) return undefined;
  return plain(decimal, Math.max(scale, 0));
}

const SPECIAL: { readonly [text: string]: string } = {
  nan: "NaN",
  infinity: "Infinity",
  "+infinity": "Infinity",
  inf: "Infinity",
  "+inf": "Infinity",
  "-infinity": "-Infinity",
  "-inf": "-Infinity",
};

/** `NaN`, `Infinity`, `-Infinity` from the spellings that Postgres reads; undefined for any other text. */
export function specialNumber(text: string): string | undefined {
  // nearly every number ends with a digit, and needs no look
  const last = text.charCodeAt(text.length - 1);
  return last >= 0x30 && last <= 0x39 ? undefined : SPECIAL[text.toLowerCase()];
}

/**
 * Compiles the reading of a decimal text (SQLite TEXT, or the digits of an INTEGER) into numeric text of the type; undefined
 * where Postgres would refuse or round it.
 */
export function compileNumeric(type: PostgresType): (text: string) => string | undefined {
  const scale = scaleOf(type);
  const precision = type.modifiers[0];
  // where the first digit may stand; below 0 for a scale above the precision
  const maxPoint = precision === undefined ? MAX_WHOLE_DIGITS : precision - (scale ?? 0);
  const printed =
    scale !== undefined && scale > 0 && maxPoint > 0 ? new RegExp(`^(?:0|[1-9]\\d{0,${maxPoint - 1}})\\.\\d{${scale}}$`) : null;
  return (raw) => {
    // nearly always it is what Postgres itself would print; but there is no -0.00
    if (printed !== null && raw.charCodeAt(0) !== MINUS && printed.test(raw)) return raw;
    const text = raw.trim();
    const special = specialNumber(text);
    // with a precision, numeric has NaN but no infinities
    if (special !== undefined) return precision === undefined || special === "NaN" ? special : undefined;
    const decimal = parseDecimal(text);
    if (decimal === null || fractionDigits(decimal) > MAX_FRACTION_DIGITS) return undefined;
    if (decimal.digits !== "" && decimal.point > maxPoint) return undefined;
    if (scale !== undefined) return scaled(decimal, scale);
    // an unconstrained numeric keeps the zeros that were written
    return plain(decimal, writtenFraction(text));
  };
}

const MINUS = 0x2d;

function writtenFraction(text: string): number {
  const point = text.indexOf(".");
  if (point < 0 || /[eE]/.test(text)) return 0;
  return Math.min(text.length - point - 1, MAX_FRACTION_DIGITS);
}
