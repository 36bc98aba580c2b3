import { TomboloError } from "../change/error.ts";
import { type Spooled, spooled } from "../link/spool.ts";

/** Of one chunk: more is no mistake of an edge's, but somebody who fills the disk. */
const MOST_BYTES = 4 * 2 ** 30;

/** Rows that are here as a whole, so that no transaction waits for a slow line. Throws `BODY_TOO_LARGE` (usage). */
export const spooledRows = (rows: AsyncIterable<Buffer>): Promise<Spooled & { readonly bytes: AsyncIterable<Buffer> }> =>
  spooled(bounded(rows)) as Promise<Spooled & { readonly bytes: AsyncIterable<Buffer> }>;

async function* bounded(rows: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let bytes = 0;
  for await (const piece of rows) {
    bytes += piece.length;
    if (bytes > MOST_BYTES) {
      throw new TomboloError("the rows of a chunk are more than a hub takes at once", {
        code: "BODY_TOO_LARGE",
        kind: "usage",
        hint: "Send fewer rows in a chunk.",
      });
    }
    yield piece;
  }
}
