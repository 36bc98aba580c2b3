import { TomboloError } from "../../change/error.ts";
import type { ConflictDesk, ConflictFilter, ConflictRecord, DecidedBy, Decision, ShownConflict } from "../conflict-desk.ts";
import { type Clock, isoTime } from "./clock.ts";
import { decide, ownRow } from "./conflict-decide.ts";
import { readRecord, readRecords } from "./conflict-records.ts";
import type { Connection, DatabaseFile } from "./connection.ts";
import { requireCurrent } from "./migrations.ts";

/** Rows that one transaction forgets: the application waits no longer than a few milliseconds. */
const FORGET_ROWS = 500n;

/** The conflicts of a SQLite node. */
export class SqliteConflictDesk implements ConflictDesk {
  readonly #file: DatabaseFile;
  readonly #clock: Clock;

  constructor(options: { readonly file: DatabaseFile; readonly clock: Clock }) {
    this.#file = options.file;
    this.#clock = options.clock;
  }

  async list(filter: ConflictFilter): Promise<readonly ConflictRecord[]> {
    return this.#read((connection) => readRecords(connection, filter));
  }

  async show(id: bigint): Promise<ShownConflict | null> {
    return this.#read((connection) => {
      const record = readRecord(connection, id);
      if (record === null) return null;
      try {
        return { record, now: ownRow(connection, this.#file, record).now, unreadable: null };
      } catch (error) {
        if (error instanceof TomboloError && error.kind === "operator") return { record, now: null, unreadable: error };
        throw error;
      }
    });
  }

  async resolve(seen: ConflictRecord, decision: Decision, by: DecidedBy): Promise<ConflictRecord> {
    this.#read(() => undefined);
    return decide(this.#file, seen, decision, { ...by, at: isoTime(this.#clock()) });
  }

  async forget(keepMs: number): Promise<number> {
    const bounds = { before: isoTime(Math.max(0, this.#clock() - keepMs)) };
    const due = "from tombolo_conflict_history where status = 'resolved' and detected_at < :before and resolved_at < :before";
    // an idle database is not written to
    if (this.#read((connection) => connection.prepare(`select 1 ${due} limit 1`).get(bounds)) === undefined) return 0;
    return this.#file.write((connection) => {
      const deleted = connection
        .prepare(`delete from tombolo_conflict_history where id in (select id ${due} order by detected_at limit ${FORGET_ROWS})`)
        .run(bounds);
      return Number(deleted.changes);
    });
  }

  /** Refuses a database in which the history is not there, or not as this version has it. */
  #read<T>(work: (connection: Connection) => T): T {
    return this.#file.read((connection) => {
      requireCurrent(connection, this.#file.node);
      return work(connection);
    });
  }
}
