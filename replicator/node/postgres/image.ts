import { parseRow, type RowText } from "../../change/value.ts";

/** The columns of an image, in the order in which it tells them. One object per table of a packet and order of columns. */
export class Layout {
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
   * The values of a row of strings and nulls, without making an object of it: a third of the time of JSON.parse. Null when the text has
   * other columns, another order, a value of another kind, or an escape.
   */
  values(text: RowText): (string | null)[] | null {
    if (text.includes("\\")) return null;
    const quotedNames = this.#quoted;
    const values = new Array<string | null>(quotedNames.length);
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
      if (text.charCodeAt(at) === QUOTE) {
        // without escapes, the next quote ends the value
        const end = text.indexOf('"', at + 1);
        if (end < 0) return null;
        values[place] = text.slice(at + 1, end);
        at = end + 1;
      } else if (text.startsWith("null", at)) {
        values[place] = null;
        at += 4;
      } else return null;
    }
    return text.charCodeAt(at) === CLOSE && at === text.length - 1 ? values : null;
  }
}

const COMMA = 0x2c;
const SPACE = 0x20;
const QUOTE = 0x22;
const CLOSE = 0x7d;

/** A row as its columns and their values. */
export interface Image {
  readonly layout: Layout;
  readonly values: readonly (string | null)[];
}

/** A table has few layouts; one whose updates touch ever other columns shall not fill the memory. */
const MOST_LAYOUTS = 256;

/** Reads the images of one table of a packet. */
export class ImageReader {
  /** Called with every set of columns that was not met before; throws when they have no place here. */
  readonly #check: (names: readonly string[]) => void;
  #layouts = new Map<string, Layout>();
  /** The one that fitted last, by kind of image. */
  readonly #last: { key: Layout; old: Layout; new: Layout } = { key: NONE, old: NONE, new: NONE };

  constructor(check: (names: readonly string[]) => void) {
    this.#check = check;
  }

  read(text: RowText, kind: "key" | "old" | "new"): Image {
    const last = this.#last[kind];
    const values = last === NONE ? null : last.values(text);
    if (values !== null) return { layout: last, values };
    const image = this.of(parseRow(text) as { [column: string]: string | null });
    this.#last[kind] = image.layout;
    return image;
  }

  of(row: { readonly [column: string]: string | null }): Image {
    const names = Object.keys(row);
    return { layout: this.#layout(names), values: names.map((name) => row[name] as string | null) };
  }

  #layout(names: readonly string[]): Layout {
    const id = JSON.stringify(names);
    let layout = this.#layouts.get(id);
    if (layout === undefined) {
      this.#check(names);
      if (this.#layouts.size >= MOST_LAYOUTS) this.#layouts = new Map();
      layout = new Layout(names);
      this.#layouts.set(id, layout);
    }
    return layout;
  }
}

const NONE = new Layout([]);

export const valueIn = (image: Image | null, name: string): string | null => {
  const place = image?.layout.places.get(name);
  return place === undefined ? null : ((image as Image).values[place] as string | null);
};

/** As an object; `Object.fromEntries` defines properties, so that a column called `__proto__` is a column like any other. */
export const rowOf = ({ layout, values }: Image): { [column: string]: string | null } =>
  Object.fromEntries(layout.names.map((name, place) => [name, values[place] as string | null]));
