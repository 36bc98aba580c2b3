import type pg from "pg";
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
import { postgresError } from "./postgres-error.ts";

const iso = (column: string): string => `to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

const COLUMNS = `id, name, peer, repair, scope, state, ${iso("started_at")} as started_at, ${iso("finished_at")} as finished_at, tables::text, error`;

/** Newest first: of each peer, the first one is what remains in a map. */
const REQUESTED = `select ${COLUMNS} from tombolo.reconcile_run where state = 'requested' order by id desc`;

/** Comparisons, as a Postgres node keeps them. */
export class PostgresReconcileDesk implements ReconcileDesk {
  readonly #pool: pg.Pool;

  constructor(options: { readonly pool: pg.Pool }) {
    this.#pool = options.pool;
  }

  async begin({ name, peer, repair, scope = "all", asked }: Parameters<ReconcileDesk["begin"]>[0]): Promise<bigint> {
    const rows = await this.#query<{ id: string }>(
      `with ended as (
         update tombolo.reconcile_run set state = 'failed', finished_at = clock_timestamp(), error = $4
          where state = 'running' and name = $1 and peer = $2),
       unasked as (delete from tombolo.reconcile_run where state = 'requested' and id = $6::bigint and peer = $2),
       forgotten as (
         delete from tombolo.reconcile_run where id <= (
           select id from tombolo.reconcile_run where name = $1 and peer = $2 order by id desc offset $5::bigint limit 1) and name = $1 and peer = $2)
       insert into tombolo.reconcile_run (name, peer, repair, state, started_at, tables, scope) values ($1, $2, $3, 'running', clock_timestamp(), '[]', $7)
       returning id`,
      [name, peer, repair, NEVER_ENDED, RUNS_KEPT - 1, asked?.toString() ?? null, scope],
    );
    return BigInt(rows[0]?.id ?? 0);
  }

  async request({ name, peer, repair, scope = "all" }: Parameters<ReconcileDesk["request"]>[0]): Promise<bigint> {
    const rows = await this.#query<{ id: string }>(
      `with unasked as (delete from tombolo.reconcile_run where state = 'requested' and name = $1 and peer = $2)
       insert into tombolo.reconcile_run (name, peer, repair, state, started_at, tables, scope) values ($1, $2, $3, 'requested', clock_timestamp(), '[]', $4)
       returning id`,
      [name, peer, repair, scope],
    );
    return BigInt(rows[0]?.id ?? 0);
  }

  async requested(): Promise<ReadonlyMap<NodeName, ReconcileRun>> {
    const rows = await this.#query<StoredReconcileRun>({ name: "tombolo_reconciles_requested", text: REQUESTED });
    return new Map(rows.map(reconcileRunOf).map((run) => [run.peer, run]));
  }

  async find(id: bigint): Promise<ReconcileRun | null> {
    const [run] = await this.#query<StoredReconcileRun>(`select ${COLUMNS} from tombolo.reconcile_run where id = $1::bigint`, [
      id.toString(),
    ]);
    return run === undefined ? null : reconcileRunOf(run);
  }

  async cancel(id: bigint): Promise<void> {
    await this.#query(
      "update tombolo.reconcile_run set state = 'cancelled', finished_at = clock_timestamp() where id = $1::bigint and state in ('requested', 'running')",
      [id.toString()],
    );
  }

  async finish(id: bigint, { state, tables, error, peer }: Parameters<ReconcileDesk["finish"]>[1]): Promise<void> {
    const { compared, differing, repaired } = totals(tables);
    await this.#query(
      `update tombolo.reconcile_run set state = $2, finished_at = clock_timestamp(), tables = $3::jsonb, compared = $4::bigint,
         differing = $5::bigint, repaired = $6::bigint, error = $7 where id = $1::bigint and peer = coalesce($8, peer) and state <> 'cancelled'`,
      [id.toString(), state, storedTables(tables), compared, differing, repaired, error, peer ?? null],
    );
  }

  async runs({ name, endedSince, limit }: Parameters<ReconcileDesk["runs"]>[0]): Promise<readonly ReconcileRun[]> {
    const rows = await this.#query<StoredReconcileRun>(
      `select ${COLUMNS}
         from tombolo.reconcile_run where name = coalesce($1, name) and ($3::float8 is null or finished_at > to_timestamp($3::float8 / 1000)) order by id desc limit $2::bigint`,
      [name ?? null, limit, endedSince ?? null],
    );
    return rows.map(reconcileRunOf);
  }

  async compared(tables: Parameters<ReconcileDesk["compared"]>[0]): Promise<void> {
    for (const { table, reason } of tables) {
      await this.#query(
        `update tombolo.captured_table set state = 'live', reason = null
          where table_name = $1 and state = 'must_compare' and reason is not distinct from $2`,
        [table, reason],
      );
    }
  }

  async #query<R extends pg.QueryResultRow>(statement: string | pg.QueryConfig, values?: unknown[]): Promise<R[]> {
    try {
      return (await this.#pool.query<R>(statement, values)).rows;
    } catch (error) {
      throw postgresError(error);
    }
  }
}
