import type pg from "pg";
import { from } from "pg-copy-streams";
import { inOnePiece } from "../../change/in-one-piece.ts";
import type { Column } from "../../change/shape.ts";
import type { CapturedTable } from "./captured-tables.ts";
import { ident } from "./identifier.ts";
import type { Image } from "./image.ts";

/** With fewer rows, one prepared statement takes fewer round trips. */
export const FEWEST_TO_COPY = 200;

const SPECIAL = /[\\\n\r\t]/;
const ESCAPED: { readonly [character: string]: string } = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** The new rows, all of one layout, in the text format of COPY. */
export function copyText(changes: readonly { readonly images: { readonly new: Image | null } }[]): string {
  const rows: string[] = [];
  for (const { images } of changes) {
    let text = "";
    const { values } = images.new as Image;
    for (let place = 0; place < values.length; place++) {
      if (place > 0) text += "\t";
      const value = values[place] as string | null;
      if (value === null) text += "\\N";
      else text += SPECIAL.test(value) ? value.replace(/[\\\n\r\t]/g, (character) => ESCAPED[character] as string) : value;
    }
    rows.push(inOnePiece(`${text}\n`));
  }
  return rows.join("");
}

/** Answers how many rows went in. Throws the database's error as it is. */
export function copyRows(
  client: pg.ClientBase,
  { table, columns, text }: { readonly table: CapturedTable; readonly columns: readonly Column[]; readonly text: string },
): Promise<number> {
  const list = columns.map((column) => ident(column.name)).join(", ");
  const stream = client.query(from(`copy ${table.sql} (${list}) from stdin`));
  return new Promise((resolve, reject) => {
    stream.once("error", reject);
    stream.once("finish", () => resolve(stream.rowCount ?? 0));
    stream.end(text);
  });
}
