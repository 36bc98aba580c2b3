/** Exact decimal arithmetic on text, as far as values need it: reading, comparing and printing; nothing is ever rounded. */

/** The value is 0.`digits` times ten to the `point`; digits have no zero at either end, and zero has none at all. */
export interface Decimal {
  readonly negative: boolean;
  readonly digits: string;
  readonly point: number;
}

const DECIMAL = /^([+-]?)(?=\.?\d)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,7}))?$/;

/** Reads a decimal number as Postgres and SQLite write it; null when the text is none. No white space, no special values. */
export function parseDecimal(text: string): Decimal | null {
  const match = DECIMAL.exec(text);
  if (match === null) return null;
  const whole = match[2] ?? "";
  const all = whole + (match[3] ?? "");
  const start = firstNonZero(all);
  if (start === all.length) return { negative: match[1] === "-", digits: "", point: 0 };
  let end = all.length;
  while (all.charCodeAt(end - 1) === 0x30) end--;
  return { negative: match[1] === "-", digits: all.slice(start, end), point: whole.length - start + Number(match[4] ?? 0) };
}

function firstNonZero(digits: string): number {
  let at = 0;
  while (at < digits.length && digits.charCodeAt(at) === 0x30) at++;
  return at;
}

/** True for the same number; zero has no sign here. */
export const sameDecimal = (a: Decimal, b: Decimal): boolean =>
  a.digits === b.digits && (a.digits === "" || (a.point === b.point && a.negative === b.negative));

/** Digits after the point, without trailing zeros. */
export const fractionDigits = (value: Decimal): number => Math.max(value.digits.length - value.point, 0);

/** Plain notation with at least `scale` digits after the point, as Postgres prints numeric. */
export function plain(value: Decimal, scale = 0): string {
  const { digits, point } = value;
  const whole = point <= 0 || digits === "" ? "0" : digits.slice(0, point).padEnd(point, "0");
  const fraction = (point < 0 ? "0".repeat(-point) + digits : digits.slice(point)).padEnd(scale, "0");
  const sign = value.negative && digits !== "" ? "-" : "";
  return fraction === "" ? sign + whole : `${sign}${whole}.${fraction}`;
}
