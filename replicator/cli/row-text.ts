import type { Row, Value } from "../change/value.ts";
import { realText } from "../operations/row-json.ts";

/** Characters that a terminal would act upon, or that would turn the text around. */
const UNSAFE = /[\p{Cc}\p{Surrogate}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;
const NAMED: { readonly [character: string]: string } = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };
/** Text that could be taken for something else than text: NULL, an unknown value, no row, a blob, a number of another kind. */
const AMBIGUOUS = /^$|^NULL$|^[?-]$|^\s|\s$|^'|^[EexX]'/;

/**
 * A value as one line for a person: text as it is, quoted as in SQL where that would be misread, with escapes (`E'…'`) where it holds
 * characters that are not to be printed; `NULL`; a blob as `x'…'`.
 */
export function valueText(value: Value): string {
  if (value === null) return "NULL";
  if (typeof value !== "string") return "i" in value ? value.i : "r" in value ? realText(value.r) : `x'${value.b}'`;
  if (oneLine(value) !== value) return `E'${value.replaceAll("\\", "\\\\").replaceAll("'", "''").replace(UNSAFE, escaped)}'`;
  return AMBIGUOUS.test(value) ? `'${value.replaceAll("'", "''")}'` : value;
}

/** Other text than values, such as names and reasons, without what a terminal would act upon. */
export const oneLine = (text: string): string => text.replace(UNSAFE, escaped);

const escaped = (character: string): string =>
  NAMED[character] ?? `\\u${(character.codePointAt(0) as number).toString(16).padStart(4, "0")}`;

/** The values of a key on one line. */
export const keyText = (key: Row): string => Object.values(key).map(valueText).join(", ");

/** The text in at most `width` characters; from `start` on where it is longer, with an ellipsis for what is left out. */
export function cut(text: string, width: number, start = 0): string {
  const characters = [...text];
  if (characters.length <= width) return text;
  if (width < 2) return characters.slice(0, width).join("");
  const from = Math.max(0, Math.min(start, characters.length - width + 1));
  const head = from === 0 ? "" : "…";
  const rest = characters.slice(from);
  const room = width - head.length;
  return head + (rest.length <= room ? rest.join("") : `${rest.slice(0, room - 1).join("")}…`);
}
