import { existsSync, rmSync } from "node:fs";
import { type NodeName, nodeName, tableName } from "../../change/names.ts";
import { beginning } from "../full-sync-begin.ts";
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
  type RunTerms,
  runLost,
} from "../full-sync-runs.ts";
import { type Clock, isoTime } from "./clock.ts";
import type { Connection, DatabaseFile } from "./connection.ts";
import { requireCurrent } from "./migrations.ts";
import { prepared } from "./rows.ts";

interface StoredRun {
  readonly id: bigint;
  readonly peer: string;
  readonly side: FullSyncRun["side"];
  readonly direction: FullSyncRun["direction"];
  readonly tables: string;
  readonly state: RunState;
  readonly phase: FullSyncRun["phase"];
  readonly rows: bigint;
  readonly bytes: bigint;
  readonly estimated_rows: bigint;
  readonly holder: string;
  readonly started_at: string;
  readonly finished_at: string | null;
  readonly error: string | null;
  /** Null in a database of an older version. */
  readonly terms?: string;
  readonly differing?: bigint | null;
  readonly heartbeat_at: string;
}

/** Beside the database: what waits for a full sync's hand-over. */
export const stageFile = (path: string): string => `${path}-tombolo-full-sync`;

export function removeStage(path: string): void {
  for (const suffix of ["", "-journal", "-wal", "-shm"]) if (existsSync(stageFile(path) + suffix)) rmSync(stageFile(path) + suffix);
}

/** The full syncs that a SQLite node is part of. */
export class SqliteFullSyncRuns implements FullSyncRuns {
  readonly #file: DatabaseFile;
  readonly #clock: Clock;

  constructor(options: { readonly file: DatabaseFile; readonly clock: Clock }) {
    this.#file = options.file;
    this.#clock = options.clock;
  }

  begin(start: RunStart): Promise<{ readonly id: bigint; readonly resumed: boolean }> {
    return this.#file.write((connection) => {
      requireCurrent(connection, this.#file.node);
      const { holder = holderName() } = start;
      const now = this.#clock();
      const open = runs(connection, "where state in ('running', 'interrupted') order by id desc");
      const begun = beginning(this.#file.node, start, {
        open: open.map((run) => ({ ...run, silentSeconds: (now - Date.parse(run.heartbeatAt)) / 1000 })),
        requested: runs(connection, "where state = 'requested' and peer = ?", start.peer),
      });
      for (const id of begun.interrupted) setState(connection, id, "interrupted");
      for (const id of [...begun.dropped, ...begun.cancelled]) setState(connection, id, "cancelled");
      if (!begun.resumed && start.side === "target") removeStage(this.#file.path);
      if (start.side === "source") connection.prepare("update tombolo_peer set forwards = 1 where name = ?").run(start.peer);
      const id =
        begun.taken === null
          ? insert(connection, start, { state: "running", holder, now })
          : take(connection, begun.taken, { holder, now });
      return { id, resumed: begun.resumed };
    });
  }

  async beat(id: bigint, progress: RunProgress, holder = holderName()): Promise<void> {
    const changed = await this.#file.write(
      (connection) =>
        connection
          .prepare(
            `update tombolo_full_sync_run set heartbeat_at = ?, phase = ?, rows = ?, bytes = ?, estimated_rows = ?, differing = coalesce(?, differing),
                    position = iif(side = 'source', coalesce(?, position), position)
              where id = ? and holder = ? and state = 'running'`,
          )
          .run(
            ...[isoTime(this.#clock()), progress.phase, progress.rows, progress.bytes, progress.estimatedRows],
            ...[progress.differing ?? null, progress.position, id, holder],
          ).changes,
    );
    if (changed === 0) throw runLost();
  }

  async end(id: bigint, state: RunEnd, error?: string, holder = holderName()): Promise<void> {
    await this.#file.write((connection) => {
      const { changes } = connection
        .prepare("update tombolo_full_sync_run set state = ?, error = ?, finished_at = ? where id = ? and holder = ? and state = 'running'")
        .run(state, error ?? null, isoTime(this.#clock()), id, holder);
      if (changes === 0 || state === "interrupted") return;
      this.#dropStaged(connection, id);
      setForwards(connection);
    });
  }

  async list(limit: number): Promise<readonly FullSyncRun[]> {
    const now = this.#clock();
    const newest = this.#file.read((connection) => newestRuns(connection, limit));
    return newest.map((run) => ({ ...run, silentSeconds: (now - Date.parse(run.heartbeatAt)) / 1000 }));
  }

  async find(id: bigint): Promise<FullSyncRun | null> {
    return this.#file.read((connection) => runs(connection, "where id = ?", id)[0] ?? null);
  }

  request(wish: Omit<RunStart, "resume" | "holder">, by: string): Promise<bigint> {
    return this.#file.write((connection) => {
      requireCurrent(connection, this.#file.node);
      connection.prepare("update tombolo_full_sync_run set state = 'cancelled' where state = 'requested' and peer = ?").run(wish.peer);
      return insert(connection, wish, { state: "requested", holder: by, now: this.#clock() });
    });
  }

  async requested(): Promise<ReadonlyMap<NodeName, FullSyncRun>> {
    const requested = this.#file.read((connection) => runs(connection, "where state = 'requested' order by id"));
    return new Map(requested.map((run) => [run.peer, run]));
  }

  async refuse(id: bigint, error: string): Promise<void> {
    await this.#file.write((connection) =>
      connection
        .prepare("update tombolo_full_sync_run set state = 'failed', error = ?, finished_at = ? where id = ? and state = 'requested'")
        .run(error, isoTime(this.#clock()), id),
    );
  }

  async cancel(id: bigint): Promise<void> {
    await this.#file.write((connection) => {
      const { changes } = connection
        .prepare(
          "update tombolo_full_sync_run set state = 'cancelled', finished_at = ? where id = ? and state in ('requested', 'running', 'interrupted')",
        )
        .run(isoTime(this.#clock()), id);
      if (changes === 0) return;
      this.#dropStaged(connection, id);
      setForwards(connection);
    });
  }

  /** There is one stage beside a database: that of the run of which it is the target. */
  #dropStaged(connection: Connection, id: bigint): void {
    if (runs(connection, "where id = ? and side = 'target'", id).length > 0) removeStage(this.#file.path);
  }
}

/** SQL: the runs in which this node is the source, and that may still read its log. */
const READING = `side = 'source' and state in ('running', 'interrupted') and julianday(heartbeat_at) > julianday('now') - ${HOLD_HOURS} / 24.0`;

/** A database of an older version knows no such runs. */
const knowsRuns = (connection: Connection): boolean =>
  prepared(connection, "select 1 from pragma_table_info('tombolo_full_sync_run') where name = 'side'").pluck().get() !== undefined;

/** Where what full syncs will read of the log begins; null when none does. */
export function heldForCopies(connection: Connection): bigint | null {
  if (!knowsRuns(connection)) return null;
  return connection.prepare(`select min(position) from tombolo_full_sync_run where ${READING}`).pluck().get() as bigint | null;
}

/** What is applied from a peer is logged where others read it, and while a full sync that it is the other side of may have to know. */
export function setForwards(connection: Connection): void {
  const copied = knowsRuns(connection) ? ` or exists (select 1 from tombolo_full_sync_run r where r.peer = p.name and ${READING})` : "";
  connection.exec(
    `update tombolo_peer as p set forwards = (select count(*) > 1 from tombolo_peer)${copied}
      where forwards <> ((select count(*) > 1 from tombolo_peer)${copied})`,
  );
}

/** Whether a full sync with the peer is being handed over: the link waits. */
export function isHandedOver(connection: Connection, peer: string): boolean {
  if (!knowsRuns(connection)) return false;
  return (
    prepared(
      connection,
      `select exists (select 1 from tombolo_full_sync_run where peer = ? and state = 'running' and phase = 'hand_over'
           and julianday(heartbeat_at) > julianday('now') - ${ALIVE_SECONDS} / 86400.0)`,
    )
      .pluck()
      .get(peer) === 1n
  );
}

function runs(
  connection: Connection,
  which: string,
  ...values: readonly (bigint | string)[]
): (FullSyncRun & { readonly heartbeatAt: string })[] {
  const rows = connection.prepare(`select * from tombolo_full_sync_run ${which}`).all(...values) as StoredRun[];
  return rows.map((row) => ({
    id: row.id,
    peer: nodeName(row.peer),
    side: row.side,
    direction: row.direction,
    tables: (JSON.parse(row.tables) as string[]).map(tableName),
    state: row.state,
    phase: row.phase,
    rows: Number(row.rows),
    bytes: Number(row.bytes),
    estimatedRows: Number(row.estimated_rows),
    holder: row.holder,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
    error: row.error,
    terms: JSON.parse(row.terms ?? "{}") as RunTerms,
    differing: row.differing === null || row.differing === undefined ? null : Number(row.differing),
    heartbeatAt: row.heartbeat_at,
  }));
}

export const newestRuns = (connection: Connection, limit: number): readonly (FullSyncRun & { readonly heartbeatAt: string })[] =>
  runs(connection, `order by id desc limit ${Math.trunc(limit)}`);

function setState(connection: Connection, id: bigint, state: RunState): void {
  connection.prepare("update tombolo_full_sync_run set state = ? where id = ?").run(state, id);
}

interface Entry {
  readonly state: RunState;
  readonly holder: string;
  readonly now: number;
}

function insert(connection: Connection, start: Omit<RunStart, "resume">, { state, holder, now }: Entry): bigint {
  return connection
    .prepare(
      `insert into tombolo_full_sync_run (peer, side, direction, state, tables, holder, started_at, heartbeat_at, terms) values (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    .run(
      ...[start.peer, start.side, start.direction, state, JSON.stringify(start.tables), holder, isoTime(now), isoTime(now)],
      JSON.stringify(start.terms ?? {}),
    ).lastInsertRowid as bigint;
}

function take(connection: Connection, id: bigint, { holder, now }: Omit<Entry, "state">): bigint {
  connection
    .prepare(
      "update tombolo_full_sync_run set state = 'running', holder = ?, heartbeat_at = ?, finished_at = null, error = null where id = ?",
    )
    .run(holder, isoTime(now), id);
  return id;
}
