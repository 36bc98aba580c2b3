import type pg from "pg";
import type { NodeName, TableName } from "../../change/names.ts";
import { requireKey } from "../conflict-decision.ts";
import type { ConflictDesk, ConflictFilter, ConflictRecord, DecidedBy, Decision, ShownConflict } from "../conflict-desk.ts";
import { type CapturedTable, CapturedTables } from "./captured-tables.ts";
import { decide } from "./conflict-decide.ts";
import { readRecord, readRecords } from "./conflict-records.ts";
import { READING, transaction } from "./connection.ts";
import type { TextRow } from "./incoming.ts";
import { requireCurrent } from "./migrate.ts";
import { postgresError } from "./postgres-error.ts";
import { readRow } from "./rows.ts";
import type { LogGate } from "./slot/log-gate.ts";

/** Rows that one transaction forgets: locks and garbage stay small. */
const FORGET_ROWS = 1000;
/** By the server's clock, as the times of the history are: the replicator's may be years off. Stable, so that the index serves. */
const KEPT_SINCE = "statement_timestamp() - $1::float8 * interval '1 millisecond'";

/** The conflicts of a Postgres node. */
export class PostgresConflictDesk implements ConflictDesk {
  readonly #name: NodeName;
  readonly #pool: pg.Pool;
  readonly #hstore: string;
  readonly #gate: LogGate;

  constructor(options: { readonly name: NodeName; readonly pool: pg.Pool; readonly hstore: string; readonly gate: LogGate }) {
    this.#gate = options.gate;
    this.#name = options.name;
    this.#pool = options.pool;
    this.#hstore = options.hstore;
  }

  list(filter: ConflictFilter): Promise<readonly ConflictRecord[]> {
    return this.#installed(async () => readRecords(this.#pool, filter, await this.#tables().all()));
  }

  show(id: bigint): Promise<ShownConflict | null> {
    // the record and its row as they were at one moment
    const work = (client: pg.ClientBase): Promise<ShownConflict | null> => this.#shown(client, id);
    return this.#installed(() => transaction(this.#pool, work, READING));
  }

  resolve(seen: ConflictRecord, decision: Decision, by: DecidedBy): Promise<ConflictRecord> {
    return this.#installed(async () => {
      const table = await this.#table(seen.table);
      return transaction(this.#pool, (client) =>
        decide({ client, hstore: this.#hstore, gate: this.#gate, node: this.#name, table }, seen, decision, by),
      );
    });
  }

  forget(keepMs: number): Promise<number> {
    return this.#installed(async () => {
      const { rowCount } = await this.#pool.query(
        // what was detected later was not resolved earlier: so the index on detected_at serves
        `delete from tombolo.conflict_history where id in (
           select id from tombolo.conflict_history
            where status = 'resolved' and detected_at < ${KEPT_SINCE} and resolved_at < ${KEPT_SINCE}
            order by detected_at limit ${FORGET_ROWS} for update skip locked)`,
        [keepMs],
      );
      return rowCount ?? 0;
    });
  }

  async #shown(client: pg.ClientBase, id: bigint): Promise<ShownConflict | null> {
    const record = await readRecord(client, id, await this.#tables().all());
    if (record === null) return null;
    try {
      const table = await this.#table(record.table);
      requireKey(record, table);
      return { record, now: await readRow({ client, hstore: this.#hstore }, table, record.key as TextRow), unreadable: null };
    } catch (error) {
      const unreadable = postgresError(error);
      if (unreadable.kind !== "operator") throw unreadable;
      return { record, now: null, unreadable };
    }
  }

  /** As they are now: a person waits for the answer, and may just have run `apply`. */
  #tables(): CapturedTables {
    return new CapturedTables(this.#pool);
  }

  /** Throws `TABLE_NOT_CAPTURED`. */
  async #table(name: TableName): Promise<CapturedTable> {
    return (await this.#tables().named([name]))[0] as CapturedTable;
  }

  /** Refuses a database in which the history is not there, or not as this version has it. */
  async #installed<T>(work: () => Promise<T>): Promise<T> {
    try {
      await requireCurrent(this.#pool);
      return await work();
    } catch (error) {
      throw postgresError(error);
    }
  }
}
