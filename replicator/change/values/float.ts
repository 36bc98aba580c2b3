import { fractionDigits, parseDecimal, plain } from "./decimal.ts";

/** Doubles and single floats in Postgres' shortest notation (`extra_float_digits` above 0, the default since 12). */

/** As `float8out` prints it: plain from 1e-4 up to 15 digits, otherwise `d.ddde+NN` with at least two digits of exponent. */
export const float8Text = (value: number): string => floatText(value, 15, shortestFloat8(value));

/** As `float4out` prints it; `value` must be a single float (`Math.fround(value) === value`). */
export const float4Text = (value: number): string => floatText(value, 6, shortestFloat4(value));

/**
 * A double as float4 text, where the number that Postgres then prints is the very same; undefined where it would be another
 * (0.30000000000000004, and 0.10000000149011612, which float4 holds but prints as 0.1).
 */
export function float4OfDouble(value: number): string | undefined {
  const size = Math.abs(value);
  const single = Math.fround(value);
  // six digits are always kept within the normal range (FLT_DIG), and most values have no more
  if (size > 1.2e-38 && size < 3.4e38 && Number(value.toPrecision(6)) === value && readsAs(value, single))
    return floatText(value, 6, String(value));
  if (!Number.isFinite(single)) return single === value ? String(value) : undefined;
  const text = float4Text(single);
  return Object.is(Number(text), value) ? text : undefined;
}

/**
 * JavaScript's shortest digits are those of Postgres, but for decimals half-way between two doubles (1e23): Postgres does not count on
 * the reader's rounding to even and prints more digits. Only whole numbers of this range have such neighbours within 17 digits.
 */
function shortestFloat8(value: number): string {
  const text = String(value);
  const size = Math.abs(value);
  if (size < 2 ** 53 || size > 1e41 || !isHalfWay(String(size), size)) return text;
  for (let digits = 2; digits < 17; digits++) {
    const longer = value.toPrecision(digits);
    if (Number(longer) === value && !isHalfWay(longer.replace("-", ""), size)) return longer;
  }
  return value.toPrecision(17);
}

/** True when a whole decimal lies exactly between `value` and one of its neighbours. */
function isHalfWay(text: string, value: number): boolean {
  const decimal = parseDecimal(text);
  if (decimal === null || fractionDigits(decimal) > 0) return false;
  const exact = BigInt(value);
  const bits = exact.toString(2);
  const ulp = 1n << BigInt(bits.length - 53);
  const distance = (BigInt(plain(decimal)) - exact) * 2n;
  // below a power of two the neighbours stand closer
  return distance === ulp || -distance === ulp || (/^10*$/.test(bits) && distance * -2n === ulp);
}

/** The fewest digits that read back as the same single float, the nearest of them, the even one of two. */
function shortestFloat4(value: number): string {
  const size = Math.abs(value);
  for (let digits = 1; digits < 9; digits++) {
    const [mantissa = "", power = ""] = size.toExponential(digits - 1).split("e");
    const nearest = Number(mantissa.replace(".", ""));
    const even = nearest % 2 === 1 && isTie(size, digits) ? nearest - 1 : nearest;
    // below a power of two floats stand closer, so that the nearest may be another float's, and the next one above is not
    for (const candidate of [even, nearest + 1]) {
      const text = `${candidate}e${Number(power) - digits + 1}`;
      if (readsAs(Number(text), size)) return text;
    }
  }
  return size.toPrecision(9);
}

/** JavaScript rounds up what lies exactly between two decimals of so many digits; Postgres rounds it to even. */
const isTie = (size: number, digits: number): boolean =>
  /^50*$/.test(
    size
      .toExponential(60)
      .replace(/\.|e.*/g, "")
      .slice(digits),
  );

/** Half-way to a neighbour does not count, see above. */
const readsAs = (near: number, value: number): boolean =>
  Math.fround(near) === value && Math.fround(near * (1 + 2 ** -52)) === value && Math.fround(near * (1 - 2 ** -53)) === value;

function floatText(value: number, plainDigits: number, shortest: string): string {
  if (value === 0) return Object.is(value, -0) ? "-0" : "0";
  if (!Number.isFinite(value)) return String(value);
  const [mantissa = "", exponentText = "0"] = shortest.replace(/^-/, "").split("e");
  const [whole = "", fraction = ""] = mantissa.split(".");
  const all = whole + fraction;
  const leading = all.length - all.replace(/^0+/, "").length;
  const digits = all.slice(leading).replace(/0+$/, "");
  // the power of ten of the first digit
  const exponent = whole.length - leading - 1 + Number(exponentText);
  const sign = value < 0 ? "-" : "";
  if (exponent >= -4 && exponent < plainDigits) {
    if (exponent < 0) return `${sign}0.${"0".repeat(-exponent - 1)}${digits}`;
    const padded = digits.padEnd(exponent + 1, "0");
    return padded.length === exponent + 1 ? sign + padded : `${sign}${padded.slice(0, exponent + 1)}.${padded.slice(exponent + 1)}`;
  }
  const power = `e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
  return `${sign}${digits[0]}${digits.length > 1 ? `.${digits.slice(1)}` : ""}${power}`;
}
