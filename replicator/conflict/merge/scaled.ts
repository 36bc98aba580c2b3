import { parseDecimal } from "../../change/values/decimal.ts";

/** The number is `units` times ten to the `-scale`; `scale` counts the digits after the point as they are written. */
export interface Scaled {
  readonly units: bigint;
  readonly scale: number;
}

/** Beyond what numeric and doubles hold; guards against exponents that would fill the memory. */
const MAX_DIGITS = 150_000;

/** Reads a decimal number as Postgres and SQLite print it, exactly; undefined for NaN, the infinities and anything else. */
export function readScaled(text: string): Scaled | undefined {
  const decimal = parseDecimal(text);
  if (decimal === null || text.length > MAX_DIGITS || Math.abs(decimal.point) > MAX_DIGITS) return undefined;
  const scale = Math.max(decimal.digits.length - decimal.point, writtenScale(text), 0);
  const units = BigInt(decimal.digits || "0") * 10n ** BigInt(scale - (decimal.digits.length - decimal.point));
  return { units: decimal.negative ? -units : units, scale: decimal.digits === "" ? writtenScale(text) : scale };
}

/** Digits after the point with their trailing zeros; none are meant where there is an exponent. */
function writtenScale(text: string): number {
  const point = text.indexOf(".");
  return point < 0 || /e/i.test(text) ? 0 : text.length - point - 1;
}

export const atScale = ({ units, scale }: Scaled, wanted: number): bigint => units * 10n ** BigInt(wanted - scale);

export function compareScaled(a: Scaled, b: Scaled): number {
  const scale = Math.max(a.scale, b.scale);
  const [left, right] = [atScale(a, scale), atScale(b, scale)];
  return left < right ? -1 : left > right ? 1 : 0;
}

/** Plain notation with exactly `scale` digits after the point. */
export function printScaled({ units, scale }: Scaled): string {
  const digits = String(units < 0n ? -units : units).padStart(scale + 1, "0");
  const sign = units < 0n ? "-" : "";
  return scale === 0 ? sign + digits : `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}
