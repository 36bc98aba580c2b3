const NEEDS_ESCAPE = /["\\]/;

/**
 * The text of a Postgres text[] literal. The driver's own conversion escapes every element through two regular expressions;
 * this one is several times as fast, and it is on the path of every applied value.
 */
export function textArray(values: readonly (string | null)[]): string {
  let literal = "{";
  for (let index = 0; index < values.length; index++) {
    if (index > 0) literal += ",";
    const value = values[index] as string | null;
    if (value === null) literal += "NULL";
    else literal += NEEDS_ESCAPE.test(value) ? `"${value.replace(/["\\]/g, "\\$&")}"` : `"${value}"`;
  }
  return `${literal}}`;
}
