import type { NodeName } from "../../change/names.ts";
import {
  NEVER_ENDED,
  type ReconcileDesk,
  type ReconcileRun,
  RUNS_KEPT,
  reconcileRunOf,
  type StoredReconcileRun,
  storedTables,
  totals,
} from "../reconcile-desk.ts";
import { type Clock, isoTime } from "./clock.ts";
import type { DatabaseFile } from "./connection.ts";
import { requireCurrent } from "./migrations.ts";

const COLUMNS = "id, name, peer, repair, scope, state, started_at, finished_at, tables, error";
const UNASKED = "delete from tombolo_reconcile_run where state = 'requested' and name = ? and peer = ?";

/** Comparisons, as a SQLite node keeps them. */
export class SqliteReconcileDesk implements ReconcileDesk {
  readonly #file: DatabaseFile;
  readonly #clock: Clock;

  constructor(options: { readonly file: DatabaseFile; readonly clock: Clock }) {
    this.#file = options.file;
    this.#clock = options.clock;
  }

  async begin({ name, peer, repair, scope = "all", asked }: Parameters<ReconcileDesk["begin"]>[0]): Promise<bigint> {
    return this.#file.write((connection) => {
      requireCurrent(connection, this.#file.node);
      const now = isoTime(this.#clock());
      connection
        .prepare(
          "update tombolo_reconcile_run set state = 'failed', finished_at = ?, error = ? where state = 'running' and name = ? and peer = ?",
        )
        .run(now, NEVER_ENDED, name, peer);
      connection.prepare("delete from tombolo_reconcile_run where state = 'requested' and id = ? and peer = ?").run(asked ?? null, peer);
      connection
        .prepare(
          `delete from tombolo_reconcile_run where name = :name and peer = :peer and id <= (
             select id from tombolo_reconcile_run where name = :name and peer = :peer order by id desc limit 1 offset ${RUNS_KEPT - 1})`,
        )
        .run({ name, peer });
      const made = connection
        .prepare(
          "insert into tombolo_reconcile_run (name, peer, repair, scope, state, started_at, tables) values (?, ?, ?, ?, 'running', ?, '[]')",
        )
        .run(name, peer, repair, scope, now);
      return BigInt(made.lastInsertRowid);
    });
  }

  request({ name, peer, repair, scope = "all" }: Parameters<ReconcileDesk["request"]>[0]): Promise<bigint> {
    return this.#file.write((connection) => {
      requireCurrent(connection, this.#file.node);
      connection.prepare(UNASKED).run(name, peer);
      const made = connection
        .prepare(
          "insert into tombolo_reconcile_run (name, peer, repair, scope, state, started_at, tables) values (?, ?, ?, ?, 'requested', ?, '[]')",
        )
        .run(name, peer, repair, scope, isoTime(this.#clock()));
      return BigInt(made.lastInsertRowid);
    });
  }

  async requested(): Promise<ReadonlyMap<NodeName, ReconcileRun>> {
    // newest first: of each peer, the first one is what remains in a map
    const sql = `select ${COLUMNS} from tombolo_reconcile_run where state = 'requested' order by id desc`;
    const rows = this.#file.read((connection) => connection.prepare(sql).all() as StoredReconcileRun[]);
    return new Map(rows.map(reconcileRunOf).map((run) => [run.peer, run]));
  }

  async find(id: bigint): Promise<ReconcileRun | null> {
    const run = this.#file.read(
      (connection) =>
        connection.prepare(`select ${COLUMNS} from tombolo_reconcile_run where id = ?`).get(id) as StoredReconcileRun | undefined,
    );
    return run === undefined ? null : reconcileRunOf(run);
  }

  async cancel(id: bigint): Promise<void> {
    await this.#file.write((connection) =>
      connection
        .prepare("update tombolo_reconcile_run set state = 'cancelled', finished_at = ? where id = ? and state in ('requested', 'running')")
        .run(isoTime(this.#clock()), id),
    );
  }

  async finish(id: bigint, { state, tables, error, peer }: Parameters<ReconcileDesk["finish"]>[1]): Promise<void> {
    const { compared, differing, repaired } = totals(tables);
    await this.#file.write((connection) =>
      connection
        .prepare(
          "update tombolo_reconcile_run set state = ?, finished_at = ?, tables = ?, compared = ?, differing = ?, repaired = ?, error = ? where id = ? and peer = coalesce(?, peer) and state <> 'cancelled'",
        )
        .run(state, isoTime(this.#clock()), storedTables(tables), compared, differing, repaired, error, id, peer ?? null),
    );
  }

  async runs({ name, endedSince, limit }: Parameters<ReconcileDesk["runs"]>[0]): Promise<readonly ReconcileRun[]> {
    const since = endedSince === undefined ? null : isoTime(endedSince);
    const rows = this.#file.read((connection) => {
      requireCurrent(connection, this.#file.node);
      return connection
        .prepare(
          `select ${COLUMNS} from tombolo_reconcile_run
            where name = coalesce(?, name) and coalesce(finished_at > ?, ?) order by id desc limit ?`,
        )
        .all(name ?? null, since, since === null ? 1 : 0, limit) as StoredReconcileRun[];
    });
    return rows.map(reconcileRunOf);
  }

  async compared(tables: Parameters<ReconcileDesk["compared"]>[0]): Promise<void> {
    if (tables.length === 0) return;
    await this.#file.write((connection) => {
      const clear = connection.prepare(
        "update tombolo_captured_table set state = 'live', reason = null where table_name = ? and state = 'must_compare' and reason is ?",
      );
      for (const { table, reason } of tables) clear.run(table, reason);
    });
  }
}
