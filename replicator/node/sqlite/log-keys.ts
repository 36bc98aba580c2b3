import type { Connection } from "./connection.ts";
import { prepared } from "./rows.ts";

/**
 * The log by key. It has no index on keys of its own: that would cost each of the application's commits a page more, half of what capture
 * costs at all. Instead every connection of ours keeps one in its temporary database (see connection.ts), and brings it up to date before it
 * looks: `logKeys`, then this in the place of the table. Both are part of the transaction that is under way, so that they go back with it.
 *
 * Binds the key, the table's id and a number; entries beyond it are found.
 */
export const LOG_OF_KEY = `temp.tombolo_log_key k cross join main.tombolo_change c on c.seq = k.seq
      where k.key = ? and k.table_id = ? and k.seq > ?`;

interface State {
  readonly epoch: string;
  readonly lowest: bigint;
  readonly newest: bigint;
  readonly indexedEpoch: string;
  readonly indexed: bigint;
  readonly begun: bigint;
}

const STATE = `
  select (select epoch from main.tombolo_node) as epoch, (select coalesce(min(seq), 0) from main.tombolo_change) as lowest,
         (select coalesce(max(seq), 0) from main.tombolo_change) as newest,
         i.epoch as indexedEpoch, i.indexed, i.begun
    from temp.tombolo_log_indexed i`;

/** Makes sure that every entry that the caller's transaction sees is found by its key. */
export function logKeys(connection: Connection): void {
  const { epoch, lowest, newest, indexedEpoch, indexed, begun } = prepared(connection, STATE).get() as State;
  // another log in the same file, or all that was there when the index was begun has been purged: then it begins anew, and never grows past that
  const anew = epoch !== indexedEpoch || lowest > begun;
  if (!anew && newest === indexed) return;
  if (anew) prepared(connection, "delete from temp.tombolo_log_key").run();
  prepared(
    connection,
    "insert into temp.tombolo_log_key (key, table_id, seq) select key, table_id, seq from main.tombolo_change where seq > ?",
  ).run(anew ? 0n : indexed);
  prepared(connection, "update temp.tombolo_log_indexed set epoch = ?, indexed = ?, begun = ?").run(epoch, newest, anew ? newest : begun);
}
