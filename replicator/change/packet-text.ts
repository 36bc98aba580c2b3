import type { Change } from "./change.ts";
import { TomboloError } from "./error.ts";
import type { PacketHeader, Part } from "./packet.ts";

/**
 * The canonical text of a packet: what is hashed, and what is sent before compression. One line of JSON for the header; per change one line of
 *
 *     table \t op \t changedAt \t key \t old \t new \n
 *
 * where an image that is null is empty. JSON text holds no raw tab and no raw line feed, so nothing is escaped.
 */

/** Positions and numbers are decimal text: they do not fit a JSON number. The order of names is fixed, so that equal headers have equal text. */
export function headerText(header: PacketHeader): string {
  const { protocol, source, target, epoch, number, previous, kind, channels, after, upTo, tables, seen, scopes } = header;
  return JSON.stringify({
    protocol,
    source,
    target,
    epoch,
    number: String(number),
    previous,
    kind,
    channels,
    after: String(after),
    upTo: String(upTo),
    tables: tables.map(({ table, channel, engine, columns, key, references, hash }) => ({
      table,
      channel,
      engine,
      columns: columns.map(({ name, type, base, notNull }) => ({ name, type, base, notNull })),
      key,
      references: references?.map(({ table, columns, to }) => ({ table, columns, to })),
      hash,
    })),
    seen: Object.fromEntries(Object.entries(seen).map(([channel, position]) => [channel, String(position)])),
    ...(scopes !== undefined && { scopes: scopes.map((scope) => (scope === null ? null : String(scope))) }),
  });
}

/** The digest, the meter and the wire want the same bytes of the same part: they are made once. Those of large values are not kept, as there may be dozens of such parts under way. */
const made = new WeakMap<Part, Buffer>();
const KEPT_BYTES = 3 << 19;

/** Throws `PACKET_TEXT` (operator) for a row whose text could not be sent as it is. */
export function partBytes(part: Part): Buffer {
  const known = made.get(part);
  if (known) return known;
  const text = linesOf(part).join("");
  // a lone surrogate has no UTF-8: it would arrive as another character, with a digest that agrees
  if (!text.isWellFormed()) throw unsendable("holds half of a surrogate pair");
  const bytes = Buffer.from(text, "utf8");
  if (bytes.length <= KEPT_BYTES) made.set(part, bytes);
  return bytes;
}

/** About the bytes that a part takes, without making them: exact for ASCII, less by up to two thirds for other scripts. */
export function partSize(part: Part): number {
  let size = 0;
  for (const change of part) size += changeSize(change);
  return size;
}

const changeSize = ({ key, old, new: now }: Change): number => key.length + (old?.length ?? 0) + (now?.length ?? 0) + 25;

/** Of a part that is not empty. */
export const largestOf = (part: Part): Change => part.reduce((most, each) => (changeSize(each) > changeSize(most) ? each : most));

const BREAK = /[\t\n]/;

/** Joined at the end, which is twice as fast as adding to one text. */
function linesOf(part: Part): string[] {
  const lines = new Array<string>(part.length);
  // those of one statement have one time
  let changedAt = Number.NaN;
  let time = "";
  for (let at = 0; at < lines.length; at++) {
    const change = part[at] as Change;
    if (change.changedAt !== changedAt) {
      changedAt = change.changedAt;
      time = `\t${changedAt}\t`;
    }
    const { table, op, key, old, new: now } = change;
    if (BREAK.test(key) || (old !== null && BREAK.test(old)) || (now !== null && BREAK.test(now)))
      throw unsendable("holds a raw tab or line feed");
    lines[at] = `${table}\t${op}${time}${key}\t${old ?? ""}\t${now ?? ""}\n`;
  }
  return lines;
}

const unsendable = (why: string): TomboloError =>
  new TomboloError(`The text of a row ${why}; it was not written as JSON.`, {
    code: "PACKET_TEXT",
    kind: "operator",
    hint: "Report this with the table's column types; exclude the column until then.",
  });
