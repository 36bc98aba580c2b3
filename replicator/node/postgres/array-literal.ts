import { inOnePiece } from "../../change/in-one-piece.ts";

const NEEDS_ESCAPE = /["\\]/;
/** Elements between two times that what there is becomes one piece. */
const STRETCH = 100;

/**
 * The text of a Postgres text[] literal. The driver's own conversion escapes every element through two regular expressions;
 * this one is several times as fast, and it is on the path of every applied value.
 */
export function textArray(values: readonly (string | null)[]): string {
  const pieces: string[] = [];
  let literal = "{";
  for (let index = 0; index < values.length; index++) {
    if (index > 0) literal += ",";
    if (index % STRETCH === STRETCH - 1) {
      pieces.push(inOnePiece(literal));
      literal = "";
    }
    const value = values[index] as string | null;
    if (value === null) literal += "NULL";
    else literal += NEEDS_ESCAPE.test(value) ? `"${value.replace(/["\\]/g, "\\$&")}"` : `"${value}"`;
  }
  pieces.push(`${literal}}`);
  return pieces.join("");
}
