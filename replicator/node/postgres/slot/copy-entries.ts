import type pg from "pg";
import { from } from "pg-copy-streams";
import type { LogEntry } from "./images.ts";
import { type Lsn, lsnText } from "./lsn.ts";

/** With fewer entries, one prepared statement takes fewer round trips. */
export const FEWEST_TO_COPY = 100;

const BEGIN = `
  with moved as (update tombolo.slot set end_lsn = $2::pg_lsn where end_lsn = $1::pg_lsn returning 1)
  select s.segment, pg_current_xact_id()::text as me from moved, tombolo.log_state as s`;

/**
 * Moves the cursor and appends to the log by COPY. (In a statement with arrays every quote of every image is escaped a second time: of 100 k inserts
 * that alone took 10 us each.) Answers false, and does nothing, when the cursor is not at `from`.
 */
export async function copyEntries(
  client: pg.ClientBase,
  entries: readonly LogEntry[],
  cursor: { readonly from: Lsn; readonly to: Lsn },
): Promise<boolean> {
  const { rows } = await client.query<{ segment: string; me: string }>({
    name: "tombolo_slot_move",
    text: BEGIN,
    values: [lsnText(cursor.from), lsnText(cursor.to)],
  });
  const [state] = rows;
  if (state === undefined) return false;
  const text = entriesText(entries, { segment: state.segment, newestXid: BigInt(state.me) });
  const stream = client.query(from("copy tombolo.change (xid, table_id, op, segment, origin, changed_at, key, old, new) from stdin"));
  await new Promise<void>((resolve, reject) => {
    stream.once("error", reject);
    stream.once("finish", resolve);
    stream.end(text);
  });
  return true;
}

function entriesText(entries: readonly LogEntry[], log: { readonly segment: string; readonly newestXid: bigint }): string {
  const lines = new Array<string>(entries.length);
  let xid = -1;
  let xidText = "";
  let committedAt = -1;
  let timeText = "";
  for (let at = 0; at < lines.length; at++) {
    const entry = entries[at] as LogEntry;
    if (entry.xid !== xid) {
      xid = entry.xid;
      xidText = String(log.newestXid - ((log.newestXid - BigInt(xid)) & 0xffffffffn));
    }
    if (entry.committedAt !== committedAt) {
      committedAt = entry.committedAt;
      timeText = timestampText(committedAt);
    }
    const { tableId, op, origin } = entry;
    const old = entry.old === null ? "\\N" : escaped(entry.old);
    const now = entry.new === null ? "\\N" : escaped(entry.new);
    lines[at] = `${xidText}\t${tableId}\t${op}\t${log.segment}\t${origin ?? "\\N"}\t${timeText}\t${escaped(entry.key)}\t${old}\t${now}\n`;
  }
  return lines.join("");
}

/** To the microsecond. */
function timestampText(us: number): string {
  const ms = Math.floor(us / 1000);
  return `${new Date(ms).toISOString().slice(0, -1)}${String(us - ms * 1000).padStart(3, "0")}Z`;
}

const SPECIAL = /[\\\n\r\t]/;
const ESCAPED: { readonly [character: string]: string } = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

const escaped = (text: string): string =>
  SPECIAL.test(text) ? text.replace(/[\\\n\r\t]/g, (character) => ESCAPED[character] as string) : text;
