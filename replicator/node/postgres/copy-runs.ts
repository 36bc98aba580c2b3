import type pg from "pg";
import { type NodeName, nodeName, type TableName } from "../../change/names.ts";
import { beginning, type StoredRun } from "../full-sync-begin.ts";
import {
  ALIVE_SECONDS,
  type FullSyncRun,
  type FullSyncRuns,
  HOLD_HOURS,
  holderName,
  type RunEnd,
  type RunProgress,
  type RunStart,
  type RunState,
  runLost,
} from "../full-sync-runs.ts";
import { transaction } from "./connection.ts";
import { ident } from "./identifier.ts";
import { requireCurrent } from "./migrate.ts";
import { postgresError } from "./postgres-error.ts";

const UTC = `'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'`;
const COLUMNS = `json_build_object('id', id::text, 'peer', peer, 'side', side, 'direction', direction, 'tables', tables, 'state', state, 'phase', phase,
  'rows', rows, 'bytes', bytes, 'estimatedRows', estimated_rows, 'holder', holder, 'startedAt', to_char(started_at, ${UTC}),
  'finishedAt', to_char(finished_at, ${UTC}), 'error', error, 'terms', coalesce((to_jsonb(full_sync_run) ->> 'terms')::json, '{}'), 'differing', (to_jsonb(full_sync_run) ->> 'differing')::bigint,
  'silentSeconds', extract(epoch from clock_timestamp() - heartbeat_at))::text as run`;

const REQUESTED = `select ${COLUMNS} from tombolo.full_sync_run where state = 'requested' order by id`;

type JsonRun = Omit<StoredRun, "id"> & { readonly id: string };

/** The full syncs that a Postgres node is part of. */
export class PostgresFullSyncRuns implements FullSyncRuns {
  readonly #pool: pg.Pool;
  readonly #node: string;

  constructor(options: { readonly pool: pg.Pool; readonly node: string }) {
    this.#pool = options.pool;
    this.#node = options.node;
  }

  async begin(start: RunStart): Promise<{ readonly id: bigint; readonly resumed: boolean }> {
    await requireCurrent(this.#pool);
    const { holder = holderName() } = start;
    return transaction(this.#pool, async (client) => {
      await client.query("lock table tombolo.full_sync_run in share row exclusive mode");
      const begun = beginning(nodeName(this.#node), start, {
        open: await runs(client, "where state in ('running', 'interrupted') order by id desc"),
        requested: await runs(client, "where state = 'requested' and peer = $1", [start.peer]),
      });
      for (const id of begun.interrupted) await setState(client, id, "interrupted");
      for (const id of begun.dropped) await drop(client, id);
      for (const id of begun.cancelled) await setState(client, id, "cancelled");
      if (start.side === "source") await client.query("update tombolo.peer set forwards = true where name = $1", [start.peer]);
      const id = begun.taken === null ? await insert(client, start, { state: "running", holder }) : await take(client, begun.taken, holder);
      return { id, resumed: begun.resumed };
    });
  }

  async beat(id: bigint, progress: RunProgress, holder = holderName()): Promise<void> {
    // a hand-over holds the row of its target for as long as it takes, and says itself that it lives; whoever waited for it would end with a time-out
    const { rows } = await this.#query<{ beaten: string; held: string }>(
      `with free as (
         select id from tombolo.full_sync_run where id = $1 and holder = $2 and state = 'running' and side = 'target' for update skip locked),
       beaten as (
         update tombolo.full_sync_run set heartbeat_at = clock_timestamp(), phase = $3, rows = $4, bytes = $5, estimated_rows = $6, differing = coalesce($8, differing),
                position = case when side = 'source' then coalesce($7, position) else position end
          where id = $1 and holder = $2 and state = 'running' and (side = 'source' or id in (select id from free)) returning id)
       select exists (select from beaten) as beaten,
              exists (select from tombolo.full_sync_run where id = $1 and holder = $2 and state = 'running' and side = 'target') as held`,
      [
        ...[String(id), holder, progress.phase, progress.rows, progress.bytes, progress.estimatedRows],
        ...[progress.position?.toString() ?? null, progress.differing ?? null],
      ],
    );
    if (rows[0]?.beaten !== "t" && rows[0]?.held !== "t") throw runLost();
  }

  async end(id: bigint, state: RunEnd, error?: string, holder = holderName()): Promise<void> {
    await transaction(this.#pool, async (client) => {
      const { rowCount } = await client.query(
        `update tombolo.full_sync_run set state = $3, error = $4, finished_at = clock_timestamp() where id = $1 and holder = $2 and state = 'running'`,
        [String(id), holder, state, error ?? null],
      );
      if (rowCount === 0 || state === "interrupted") return;
      await dropStaged(client, id);
      await client.query(FORWARDS);
    });
  }

  async list(limit: number): Promise<readonly FullSyncRun[]> {
    return newestRuns(this.#pool, limit);
  }

  async find(id: bigint): Promise<FullSyncRun | null> {
    return (await runs(this.#pool, "where id = $1", [String(id)]))[0] ?? null;
  }

  async request(wish: Omit<RunStart, "resume" | "holder">, by: string): Promise<bigint> {
    await requireCurrent(this.#pool);
    return transaction(this.#pool, async (client) => {
      await client.query("update tombolo.full_sync_run set state = 'cancelled' where state = 'requested' and peer = $1", [wish.peer]);
      return insert(client, wish, { state: "requested", holder: by });
    });
  }

  async requested(): Promise<ReadonlyMap<NodeName, FullSyncRun>> {
    const { rows } = await this.#pool.query<{ run: string }>({ name: "tombolo_full_syncs_requested", text: REQUESTED });
    return new Map(rows.map(({ run }) => runOf(run)).map((run) => [run.peer, run]));
  }

  async refuse(id: bigint, error: string): Promise<void> {
    await this.#query(
      "update tombolo.full_sync_run set state = 'failed', error = $2, finished_at = clock_timestamp() where id = $1 and state = 'requested'",
      [String(id), error],
    );
  }

  async cancel(id: bigint): Promise<void> {
    await transaction(this.#pool, async (client) => {
      const { rowCount } = await client.query(
        "update tombolo.full_sync_run set state = 'cancelled', finished_at = clock_timestamp() where id = $1 and state in ('requested', 'running', 'interrupted')",
        [String(id)],
      );
      if (rowCount === 0) return;
      await dropStaged(client, id);
      await client.query(FORWARDS);
    });
  }

  async #query<T extends pg.QueryResultRow>(text: string, values: readonly unknown[]): Promise<pg.QueryResult<T>> {
    try {
      return await this.#pool.query<T>(text, values as unknown[]);
    } catch (error) {
      throw postgresError(error);
    }
  }
}

/** What is applied from a peer is logged where others read it, and while a full sync that it is the other side of may have to know. */
export const FORWARDS = `
  update tombolo.peer
     set forwards = wanted.forwards
    from (select p.id, (select count(*) > 1 from tombolo.peer)
                 -- a database of an older version has no such columns
                 or exists (select from tombolo.full_sync_run r where r.peer = p.name and to_jsonb(r) ->> 'side' = 'source' and r.state in ('running', 'interrupted')
                             and (to_jsonb(r) ->> 'heartbeat_at')::timestamptz > clock_timestamp() - interval '${HOLD_HOURS} hours') as forwards
            from tombolo.peer p) as wanted
   where peer.id = wanted.id and peer.forwards is distinct from wanted.forwards`;

/** A full sync with peer `p` is being handed over: the link waits. */
export const HANDED_OVER = `exists (select from tombolo.full_sync_run r where r.peer = p.name and r.state = 'running' and to_jsonb(r) ->> 'phase' = 'hand_over'
  and (to_jsonb(r) ->> 'heartbeat_at')::timestamptz > clock_timestamp() - interval '${ALIVE_SECONDS} seconds')`;

async function runs(client: pg.Pool | pg.ClientBase, which: string, values: readonly unknown[] = []): Promise<StoredRun[]> {
  const { rows } = await (client as pg.Pool).query<{ run: string }>(
    `select ${COLUMNS} from tombolo.full_sync_run ${which}`,
    values as unknown[],
  );
  return rows.map(({ run }) => runOf(run));
}

function runOf(json: string): StoredRun {
  const stored = JSON.parse(json) as JsonRun;
  return { ...stored, id: BigInt(stored.id) };
}

export const newestRuns = (client: pg.Pool, limit: number): Promise<readonly FullSyncRun[]> =>
  runs(client, "order by id desc limit $1", [limit]);

const setState = (client: pg.ClientBase, id: bigint, state: RunState): Promise<unknown> =>
  client.query("update tombolo.full_sync_run set state = $2 where id = $1", [String(id), state]);

/** An interrupted run that nobody goes on with. */
async function drop(client: pg.ClientBase, id: bigint): Promise<void> {
  await setState(client, id, "cancelled");
  await dropStaged(client, id);
}

/** Drops what a run has staged. */
export async function dropStaged(client: pg.ClientBase | pg.Pool, id: bigint): Promise<void> {
  const { rows } = await (client as pg.Pool).query<{ relation: string }>("select relation from tombolo.full_sync_table where run_id = $1", [
    String(id),
  ]);
  for (const { relation } of rows) await (client as pg.Pool).query(`drop table if exists tombolo.${ident(relation)}`);
  await (client as pg.Pool).query("delete from tombolo.full_sync_table where run_id = $1", [String(id)]);
}

async function insert(
  client: pg.ClientBase,
  start: Omit<RunStart, "resume">,
  { state, holder }: { readonly state: RunState; readonly holder: string },
): Promise<bigint> {
  const { rows } = await client.query<{ id: string }>(
    `insert into tombolo.full_sync_run (peer, side, direction, state, tables, holder, terms) values ($1, $2, $3, $6, $4, $5, $7) returning id`,
    [
      ...[start.peer, start.side, start.direction, JSON.stringify(start.tables satisfies readonly TableName[]), holder, state],
      JSON.stringify(start.terms ?? {}),
    ],
  );
  return BigInt(rows[0]?.id ?? 0);
}

async function take(client: pg.ClientBase, id: bigint, holder: string): Promise<bigint> {
  await client.query(
    "update tombolo.full_sync_run set state = 'running', holder = $2, heartbeat_at = clock_timestamp(), finished_at = null, error = null where id = $1",
    [String(id), holder],
  );
  return id;
}
