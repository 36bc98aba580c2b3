import { RowLayout } from "../../change/row-layout.ts";
import { parseRow, type RowText, type Value } from "../../change/value.ts";

/** A row as its columns and their values. */
export interface Image {
  readonly layout: RowLayout;
  readonly values: readonly (string | null)[];
}

/** A column of a sender as a column here; `convert` is missing where its text is taken as it is. */
export interface ImageColumn {
  readonly name: string;
  readonly convert?: ((value: Value) => string | null) | undefined;
}

/** How rows that were sent in one layout become images. */
interface Reading {
  readonly sent: RowLayout;
  readonly layout: RowLayout;
  /** Where the values of the image are among those that were sent; null where all are taken as they are. */
  readonly columns: readonly { readonly place: number; readonly convert: ImageColumn["convert"] }[] | null;
}

/** A table has few layouts; one whose updates touch ever other columns shall not fill the memory. */
const MOST_LAYOUTS = 256;

/** Reads the images of one table of a packet. */
export class ImageReader {
  /** Asked about every set of columns that was not met before: null for a column that is left out; throws for one that has no place here. */
  readonly #column: (name: string) => ImageColumn | null;
  #readings = new Map<string, Reading>();
  #layouts = new Map<string, RowLayout>();
  /** The one that fitted last, by kind of image. */
  readonly #last: { key?: Reading; old?: Reading; new?: Reading } = {};

  constructor(column: (name: string) => ImageColumn | null) {
    this.#column = column;
  }

  /** Throws what the columns throw. */
  read(text: RowText, kind: "key" | "old" | "new"): Image {
    const last = this.#last[kind];
    const values = last?.sent.values(text);
    if (last !== undefined && values != null) return imageOf(last, values);
    const row = parseRow(text);
    const names = Object.keys(row);
    const reading = this.#reading(names);
    this.#last[kind] = reading;
    return imageOf(
      reading,
      names.map((name) => row[name] as Value),
    );
  }

  #reading(names: readonly string[]): Reading {
    const id = JSON.stringify(names);
    let reading = this.#readings.get(id);
    if (reading === undefined) {
      reading = this.#newReading(names);
      if (this.#readings.size >= MOST_LAYOUTS) this.#readings = new Map();
      this.#readings.set(id, reading);
    }
    return reading;
  }

  #newReading(names: readonly string[]): Reading {
    const columns = names.flatMap((name, place) => {
      const column = this.#column(name);
      return column === null ? [] : [{ ...column, place }];
    });
    const asTheyAre = columns.length === names.length && columns.every(({ convert }) => convert === undefined);
    return {
      sent: new RowLayout(names),
      layout: this.#layout(columns.map(({ name }) => name)),
      columns: asTheyAre ? null : columns.map(({ place, convert }) => ({ place, convert })),
    };
  }

  /** The same object for the same columns, whatever they were sent with. */
  #layout(names: readonly string[]): RowLayout {
    const id = JSON.stringify(names);
    let layout = this.#layouts.get(id);
    if (layout === undefined) {
      if (this.#layouts.size >= MOST_LAYOUTS) this.#layouts = new Map();
      layout = new RowLayout(names);
      this.#layouts.set(id, layout);
    }
    return layout;
  }
}

function imageOf({ layout, columns }: Reading, sent: readonly Value[]): Image {
  // a Postgres sends nothing else
  if (columns === null) return { layout, values: sent as readonly (string | null)[] };
  const values = new Array<string | null>(columns.length);
  for (let at = 0; at < values.length; at++) {
    const { place, convert } = columns[at] as { place: number; convert: ImageColumn["convert"] };
    const value = sent[place] as Value;
    values[at] = convert === undefined ? (value as string | null) : convert(value);
  }
  return { layout, values };
}

export const valueIn = (image: Image | null, name: string): string | null => {
  const place = image?.layout.places.get(name);
  return place === undefined ? null : ((image as Image).values[place] as string | null);
};

/** As an object; `Object.fromEntries` defines properties, so that a column called `__proto__` is a column like any other. */
export const rowOf = ({ layout, values }: Image): { [column: string]: string | null } =>
  Object.fromEntries(layout.names.map((name, place) => [name, values[place] as string | null]));
