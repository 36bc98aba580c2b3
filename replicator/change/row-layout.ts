import type { RowText, Value } from "./value.ts";

const COMMA = 0x2c;
const SPACE = 0x20;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN = 0x7b;
const CLOSE = 0x7d;
const I = 0x69;
const R = 0x72;
const B = 0x62;

/** The columns of a row's text, in the order in which it tells them. One object per table of a packet and order of columns. */
export class RowLayout {
  readonly names: readonly string[];
  /** Column name to its place among the values. */
  readonly places: ReadonlyMap<string, number>;
  /** The names as JSON writes them, with the colon. */
  readonly #quoted: readonly string[];

  constructor(names: readonly string[]) {
    this.names = names;
    this.places = new Map(names.map((name, place) => [name, place]));
    this.#quoted = names.map((name) => `${JSON.stringify(name)}:`);
  }

  /**
   * The values of a row, without making an object of it: a third of the time of JSON.parse. Null when the text has other columns, another
   * order, or is written in an unusual way; it is then for JSON.parse.
   */
  values(text: RowText): Value[] | null {
    const quotedNames = this.#quoted;
    const escaped = text.includes("\\");
    const values = new Array<Value>(quotedNames.length);
    let at = 1;
    for (let place = 0; place < values.length; place++) {
      const quoted = quotedNames[place] as string;
      if (place > 0) {
        if (text.charCodeAt(at) !== COMMA) return null;
        at += text.charCodeAt(at + 1) === SPACE ? 2 : 1;
      }
      if (!text.startsWith(quoted, at)) return null;
      at += quoted.length;
      if (text.charCodeAt(at) === SPACE) at += 1;
      const code = text.charCodeAt(at);
      if (code === QUOTE) {
        const end = escaped ? endOfString(text, at + 1) : text.indexOf('"', at + 1);
        if (end < 0) return null;
        const inner = text.slice(at + 1, end);
        values[place] = escaped && inner.includes("\\") ? (JSON.parse(`"${inner}"`) as string) : inner;
        at = end + 1;
      } else if (code === OPEN) {
        const end = text.indexOf('"', at + 6);
        const value = end < 0 || !text.startsWith('":"', at + 3) || text.charCodeAt(at + 1) !== QUOTE ? null : wrapped(text, at, end);
        if (value === null || text.charCodeAt(end + 1) !== CLOSE) return null;
        values[place] = value;
        at = end + 2;
      } else if (text.startsWith("null", at)) {
        values[place] = null;
        at += 4;
      } else return null;
    }
    return text.charCodeAt(at) === CLOSE && at === text.length - 1 ? values : null;
  }
}

/** `{"i":"7"}` and the like, between its bracket and the quote that ends it. */
function wrapped(text: RowText, at: number, end: number): Value {
  const inner = text.slice(at + 6, end);
  if (inner.includes("\\")) return null;
  const kind = text.charCodeAt(at + 2);
  if (kind === I) return { i: inner };
  if (kind === R) return { r: inner };
  return kind === B ? { b: inner } : null;
}

/** Where the quote is that ends a string. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start); end >= 0; end = text.indexOf('"', end + 1)) {
    let before = end;
    while (text.charCodeAt(before - 1) === BACKSLASH) before--;
    // a quote after an odd number of them is a character of the string
    if ((end - before) % 2 === 0) return end;
  }
  return -1;
}
