/** Doubles and single floats in Postgres' shortest notation (`extra_float_digits` above 0, the default since 12). */

/** As `float8out` prints it: plain from 1e-4 up to 15 digits, otherwise `d.ddde+NN` with at least two digits of exponent. */
export const float8Text = (value: number): string => floatText(value, 15, String(value));

/** As `float4out` prints it; `value` must be a single float (`Math.fround(value) === value`). */
export const float4Text = (value: number): string => floatText(value, 6, shortestFloat4(value));

/** The fewest digits that read back as the same single float, the nearest of them. */
function shortestFloat4(value: number): string {
  for (let digits = 1; digits < 9; digits++) {
    const text = value.toPrecision(digits);
    if (Math.fround(Number(text)) === value && !atBoundary(Number(text), value)) return text;
  }
  return value.toPrecision(9);
}

/** Half-way to a neighbour: Postgres does not count on the reader's rounding to even there, and prints one more digit. */
const atBoundary = (near: number, value: number): boolean =>
  Math.fround(near * (1 + 2 ** -52)) !== value || Math.fround(near * (1 - 2 ** -53)) !== value;

function floatText(value: number, plainDigits: number, shortest: string): string {
  if (value === 0) return Object.is(value, -0) ? "-0" : "0";
  if (!Number.isFinite(value)) return String(value);
  const [mantissa = "", exponentText = "0"] = shortest.replace("-", "").split(/e\+?/);
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
