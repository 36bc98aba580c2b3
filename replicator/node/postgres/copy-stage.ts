import type pg from "pg";
import { type Position, position, type TableName, tableName } from "../../change/names.ts";
import type { Receipt } from "../../change/packet.ts";
import type { Column } from "../../change/shape.ts";
import type { CopiedTable, CopyChanges, CopyChunk, CopyStage, HandOver, Staged, TableDifference } from "../full-copy.ts";
import { runLost } from "../full-sync-runs.ts";
import type { CapturedTable } from "./captured-tables.ts";
import { transaction, UNFLUSHED } from "./connection.ts";
import { compareStaged } from "./copy-compare.ts";
import { handOverStaged } from "./copy-hand-over.ts";
import { columnsHere, copyInto } from "./copy-into.ts";
import { dropStaged } from "./copy-runs.ts";
import type { StageAccess, StagedTable } from "./copy-table.ts";
import { ident, qualified } from "./identifier.ts";

/** Opens what a run has staged; makes what is missing. */
export async function openStage(access: StageAccess, run: bigint, copied: readonly CopiedTable[]): Promise<CopyStage> {
  const tables = await access.tables.named(copied.map(({ shape }) => shape.table));
  const staged = copied.map((one, at): StagedTable => {
    const table = tables[at] as CapturedTable;
    return { copied: one, table, relation: qualified("tombolo", `full_sync_${run}_${at}`), columns: columnsHere(one, table) };
  });
  return transaction(access.pool, async (client) => {
    // one that was given up gets no stage any more
    await mustBeHeld(client, run, access.holder);
    const { rows } = await client.query<{
      table_name: string;
      columns: string;
      copied_to: string | null;
      done: string;
      rows: string;
      bytes: string;
    }>("select table_name, columns::text, copied_to, done, rows, bytes from tombolo.full_sync_table where run_id = $1", [String(run)]);
    const names = (one: StagedTable): string[] => one.columns.map(({ name }) => name);
    const known = new Map(rows.map((row) => [tableName(row.table_name), row]));
    const isWhole = staged.every(
      (one) => JSON.stringify(JSON.parse(known.get(one.table.name)?.columns ?? "null")) === JSON.stringify(names(one)),
    );
    const progress = new Map<TableName, Staged>();
    if (isWhole) {
      for (const [name, { copied_to: upTo, done, rows: count, bytes }] of known)
        progress.set(name, { upTo, done: done === "t", rows: Number(count), bytes: Number(bytes) });
      const at = await client.query<{ position: string | null }>("select position from tombolo.full_sync_run where id = $1", [String(run)]);
      const known_at = at.rows[0]?.position ?? null;
      return new PostgresStage(access, { run, tables: staged, progress, position: known_at === null ? null : position(known_at) });
    }
    await dropStaged(client, run);
    for (const [at, one] of staged.entries()) {
      const columns = one.columns.map(({ name }) => ident(name)).join(", ");
      await client.query(`create unlogged table ${one.relation} as select ${columns} from ${one.table.sql} with no data`);
      await client.query("insert into tombolo.full_sync_table (run_id, table_name, relation, columns) values ($1, $2, $3, $4)", [
        String(run),
        one.table.name,
        `full_sync_${run}_${at}`,
        JSON.stringify(names(one)),
      ]);
      progress.set(one.table.name, { upTo: null, done: false, rows: 0, bytes: 0 });
    }
    await client.query("update tombolo.full_sync_run set position = null where id = $1", [String(run)]);
    return new PostgresStage(access, { run, tables: staged, progress, position: null });
  });
}

/** Tables without index and without log, beside the real ones. */
class PostgresStage implements CopyStage {
  readonly #access: StageAccess;
  readonly #run: bigint;
  readonly #tables: readonly StagedTable[];
  readonly #progress: Map<TableName, Staged>;
  #position: Position | null;

  constructor(
    access: StageAccess,
    options: {
      readonly run: bigint;
      readonly tables: readonly StagedTable[];
      readonly progress: Map<TableName, Staged>;
      readonly position: Position | null;
    },
  ) {
    this.#access = access;
    this.#run = options.run;
    this.#tables = options.tables;
    this.#progress = options.progress;
    this.#position = options.position;
  }

  get position(): Position | null {
    return this.#position;
  }

  get progress(): ReadonlyMap<TableName, Staged> {
    return this.#progress;
  }

  async add(name: TableName, chunk: CopyChunk): Promise<Staged> {
    const table = this.#table(name);
    const before = this.#progress.get(name) as Staged;
    const bring = async (client: pg.PoolClient): Promise<Staged> => {
      await this.#mustBeOurs(client);
      const counted = await copyInto(client, table, { relation: table.relation, columns: table.columns, rows: chunk.rows });
      const now: Staged = {
        upTo: chunk.upTo ?? before.upTo,
        done: chunk.upTo === null,
        rows: before.rows + counted.rows,
        bytes: before.bytes + counted.bytes,
      };
      await store(client, this.#run, name, now, before);
      return now;
    };
    // what it writes is unlogged
    const after = await transaction(this.#access.pool, bring, UNFLUSHED);
    this.#progress.set(name, after);
    return after;
  }

  async renew(at: Position, changes: readonly CopyChanges[], anew: readonly TableName[] = []): Promise<void> {
    await transaction(this.#access.pool, async (client) => {
      await this.#mustBeOurs(client);
      await client.query("set local enable_seqscan = on");
      for (const name of anew) {
        await client.query(`truncate ${this.#table(name).relation}`);
        await store(client, this.#run, name, NOTHING);
      }
      for (const changed of changes) await this.#renewTable(client, changed);
      await client.query("update tombolo.full_sync_run set position = $2::bigint where id = $1", [String(this.#run), at.toString()]);
    });
    for (const name of anew) this.#progress.set(name, NOTHING);
    this.#position = at;
  }

  async #renewTable(client: pg.ClientBase, changed: CopyChanges): Promise<void> {
    const table = this.#table(changed.table);
    const columns = table.table.key.map((name) => table.columns.find((column) => column.name === name) as Column);
    const keys = columns.map(({ name }) => ident(name)).join(", ");
    const relation = "pg_temp.tombolo_touched";
    await client.query(`create temp table tombolo_touched on commit drop as select ${keys} from ${table.relation} with no data`);
    const { rows } = await copyInto(client, table, { relation, columns, rows: changed.keys() });
    if (rows > 0) await client.query(`delete from ${table.relation} where (${keys}) in (select ${keys} from ${relation})`);
    await copyInto(client, table, { relation: table.relation, columns: table.columns, rows: changed.rows() });
    await client.query("drop table pg_temp.tombolo_touched");
  }

  compare(handOver: HandOver): Promise<readonly TableDifference[]> {
    return compareStaged(this.#access, this.#tables, handOver);
  }

  handOver(handOver: HandOver): Promise<Receipt> {
    return handOverStaged(this.#access, { run: this.#run, tables: this.#tables, position: this.#position, handOver });
  }

  async close(what: "keep" | "drop"): Promise<void> {
    if (what === "drop") await transaction(this.#access.pool, (client) => dropStaged(client, this.#run));
  }

  #mustBeOurs(client: pg.ClientBase): Promise<void> {
    return mustBeHeld(client, this.#run, this.#access.holder);
  }

  #table(name: TableName): StagedTable {
    return this.#tables.find(({ table }) => table.name === name) as StagedTable;
  }
}

/** Whoever gives the run up waits for the end of the transaction. */
async function mustBeHeld(client: pg.ClientBase, run: bigint, holder: string): Promise<void> {
  const { rowCount } = await client.query(
    "update tombolo.full_sync_run set heartbeat_at = clock_timestamp() where id = $1 and holder = $2 and state = 'running'",
    [String(run), holder],
  );
  if (rowCount === 0) throw runLost();
}

const NOTHING: Staged = { upTo: null, done: false, rows: 0, bytes: 0 };

/** `before`: what it must have been, for another may have brought the same chunk meanwhile. */
async function store(client: pg.ClientBase, run: bigint, table: TableName, staged: Staged, before: Staged | null = null): Promise<void> {
  const { rowCount } = await client.query(
    `update tombolo.full_sync_table set copied_to = $3, done = $4, rows = $5, bytes = $6
      where run_id = $1 and table_name = $2 and ($7::bigint is null or (rows = $7 and done = $8 and copied_to is not distinct from $9))`,
    [
      ...[String(run), table, staged.upTo, staged.done, staged.rows, staged.bytes],
      ...[before?.rows ?? null, before?.done ?? null, before?.upTo ?? null],
    ],
  );
  if (rowCount === 0) throw runLost();
}
