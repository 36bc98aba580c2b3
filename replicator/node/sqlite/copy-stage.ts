import Database from "better-sqlite3";
import type { CopyRows } from "../../change/copy-text.ts";
import { type Position, position, type TableName, tableName } from "../../change/names.ts";
import type { Receipt } from "../../change/packet.ts";
import type { CopiedTable, CopyChanges, CopyChunk, CopyStage, HandOver, Staged, TableDifference } from "../full-copy.ts";
import { runLost } from "../full-sync-runs.ts";
import { type CapturedTable, capturedTable } from "./captured-tables.ts";
import { type Connection, type DatabaseFile, sqliteError } from "./connection.ts";
import { compareStaged } from "./copy-compare.ts";
import { handOverStaged } from "./copy-hand-over.ts";
import { columnsHere, eachRow, insertRows } from "./copy-into.ts";
import { removeStage, stageFile } from "./copy-runs.ts";
import type { StageAccess, StagedTable } from "./copy-table.ts";
import { quote } from "./identifier.ts";
import type { ColumnTarget } from "./incoming.ts";
import { filteredTable } from "./row-filter.ts";

const SCHEMA = `
  create table if not exists stage (run integer primary key, position integer);
  create table if not exists progress (table_name text primary key, columns text not null, copied_to text, done integer not null, rows integer not null, bytes integer not null)`;

/** Opens what a run has staged; makes what is missing. */
export async function openStage(access: StageAccess, run: bigint, copied: readonly CopiedTable[]): Promise<CopyStage> {
  const { file } = access;
  const tables = file.read((connection) => copied.map((one, at) => stagedTable(connection, file, one, `staged_${at}`)));
  const stage = openFile(file.path);
  try {
    const begun = stage.prepare("select position from stage where run = ?").raw().get(run) as [bigint | null] | undefined;
    const known = stage.prepare("select table_name, columns, copied_to, done, rows, bytes from progress").raw().all() as StoredProgress[];
    const names = (one: StagedTable): string => JSON.stringify(one.columns.map(({ name }) => name));
    const isWhole =
      begun !== undefined && tables.every((one) => known.some(([name, columns]) => name === one.table.name && columns === names(one)));
    if (isWhole) {
      const progress = new Map(
        known.map(([name, , upTo, done, rows, bytes]) => [tableName(name), stagedOf(upTo, done === 1n, rows, bytes)]),
      );
      return new SqliteStage(access, { run, stage, tables, progress, position: begun[0] === null ? null : position(begun[0]) });
    }
    const progress = new Map(tables.map(({ table }) => [table.name, NOTHING]));
    stage.transaction(() => {
      for (const name of stage.prepare("select name from sqlite_schema where type = 'table' and name like 'staged%'").pluck().all())
        stage.exec(`drop table ${quote(name as string)}`);
      stage.exec("delete from stage; delete from progress");
      stage.prepare("insert into stage (run, position) values (?, null)").run(run);
      for (const one of tables) {
        stage.exec(`create table ${one.relation} (tombolo_row integer primary key, ${one.declared.join(", ")})`);
        stage.prepare("insert into progress values (?, ?, null, 0, 0, 0)").run(one.table.name, names(one));
      }
    })();
    return new SqliteStage(access, { run, stage, tables, progress, position: null });
  } catch (error) {
    stage.close();
    throw sqliteError(error, file.node);
  }
}

type StoredProgress = [table: string, columns: string, upTo: string | null, done: bigint, rows: bigint, bytes: bigint];

const stagedOf = (upTo: string | null, done: boolean, rows: bigint, bytes: bigint): Staged => ({
  upTo,
  done,
  rows: Number(rows),
  bytes: Number(bytes),
});

/** One that was torn by a power cut is made anew. */
function openFile(path: string): Connection {
  for (const attempt of [1, 2]) {
    // nobody else writes to it; whoever does all the same, must not make this process wait
    const stage = new Database(stageFile(path), { timeout: 0 });
    try {
      stage.defaultSafeIntegers();
      stage.pragma("synchronous = normal");
      stage.exec(SCHEMA);
      return stage;
    } catch (error) {
      stage.close();
      if (attempt === 2) throw error;
      removeStage(path);
    }
  }
  throw new Error("not reached");
}

function stagedTable(connection: Connection, file: DatabaseFile, copied: CopiedTable, relation: string): StagedTable {
  const table = capturedTable(connection, copied.shape.table, file.node);
  const { columns, strict } = columnsHere(connection, copied, table);
  const { collations } = filteredTable(connection, table);
  const declared = columns.map(({ name }) => declaration(table, name, { strict, collation: collations.get(name.toLowerCase()) }));
  return { copied, table, relation, columns, declared };
}

/** Compares as the table's own column does, so that the two can be joined by an index. */
function declaration(
  table: CapturedTable,
  name: string,
  own: { readonly strict: boolean; readonly collation: string | undefined },
): string {
  const type = table.columns.find((column) => column.name === name)?.type ?? "";
  // ANY takes everything as it is in a STRICT table, and is numeric in an ordinary one
  const declared = type === "" || (own.strict && type.toUpperCase() === "ANY") ? "" : ` ${quote(type)}`;
  return `${quote(name)}${declared}${own.collation === undefined ? "" : ` collate ${quote(own.collation)}`}`;
}

/** A file of its own beside the database, so that neither it nor its writers are burdened before the hand-over. */
class SqliteStage implements CopyStage {
  readonly #access: StageAccess;
  readonly #run: bigint;
  readonly #stage: Connection;
  readonly #tables: readonly StagedTable[];
  readonly #progress: Map<TableName, Staged>;
  #position: Position | null;

  constructor(
    access: StageAccess,
    options: {
      readonly run: bigint;
      readonly stage: Connection;
      readonly tables: readonly StagedTable[];
      readonly progress: Map<TableName, Staged>;
      readonly position: Position | null;
    },
  ) {
    this.#access = access;
    this.#run = options.run;
    this.#stage = options.stage;
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
    const after = await this.#transaction(async () => {
      const { rows, bytes } = await this.#insert(table, chunk.rows);
      const now = { upTo: chunk.upTo ?? before.upTo, done: chunk.upTo === null, rows: before.rows + rows, bytes: before.bytes + bytes };
      this.#store(name, now, before);
      return now;
    });
    this.#progress.set(name, after);
    return after;
  }

  async renew(at: Position, changes: readonly CopyChanges[], anew: readonly TableName[] = []): Promise<void> {
    await this.#transaction(async () => {
      for (const name of anew) {
        this.#stage.exec(`delete from ${this.#table(name).relation}`);
        this.#store(name, NOTHING);
      }
      for (const changed of changes) {
        const table = this.#table(changed.table);
        const keys = table.table.key.map((key) => table.columns.find(({ name }) => name === key) as ColumnTarget);
        const columns = keys.map(({ name }) => quote(name)).join(", ");
        this.#stage.exec(`create index if not exists ${table.relation}_match on ${table.relation} (${columns})`);
        const remove = this.#stage.prepare(
          `delete from ${table.relation} where ${keys.map(({ name }) => `${quote(name)} is ?`).join(" and ")}`,
        );
        await eachRow(table.copied, { columns: keys, rows: changed.keys() }, (values) => remove.run(values));
        await this.#insert(table, changed.rows());
      }
      this.#stage.prepare("update stage set position = ?").run(at);
    });
    for (const name of anew) this.#progress.set(name, NOTHING);
    this.#position = at;
  }

  compare(handOver: HandOver): Promise<readonly TableDifference[]> {
    return compareStaged(this.#access, this.#tables, handOver);
  }

  handOver(handOver: HandOver): Promise<Receipt> {
    return handOverStaged(this.#access, { run: this.#run, tables: this.#tables, handOver });
  }

  async close(what: "keep" | "drop"): Promise<void> {
    this.#stage.close();
    if (what === "drop") removeStage(this.#access.file.path);
  }

  /** Nothing else uses the connection. */
  async #transaction<T>(work: () => Promise<T>): Promise<T> {
    this.#stage.exec("begin immediate");
    try {
      const result = await work();
      this.#stage.exec("commit");
      return result;
    } catch (error) {
      if (this.#stage.inTransaction) this.#stage.exec("rollback");
      throw sqliteError(error, this.#access.file.node);
    }
  }

  #insert({ copied, relation, columns }: StagedTable, rows: CopyRows): Promise<{ rows: number; bytes: number }> {
    const row = `(null, ${columns.map(() => "?").join(", ")})`;
    return insertRows(this.#stage, copied, { into: `insert into ${relation}`, row, columns, rows });
  }

  /** `before`: what it must have been, for another may have brought the same chunk meanwhile. */
  #store(table: TableName, staged: Staged, before: Staged | null = null): void {
    const { changes } = this.#stage
      .prepare(
        `update progress set copied_to = ?, done = ?, rows = ?, bytes = ?
          where table_name = ? and (? is null or (rows = ? and done = ? and copied_to is ?))`,
      )
      .run(
        ...[staged.upTo, staged.done ? 1n : 0n, staged.rows, staged.bytes, table],
        ...[before?.rows ?? null, before?.rows ?? null, before?.done ? 1n : 0n, before?.upTo ?? null],
      );
    if (changes === 0) throw runLost();
  }

  #table(name: TableName): StagedTable {
    return this.#tables.find(({ table }) => table.name === name) as StagedTable;
  }
}

const NOTHING: Staged = { upTo: null, done: false, rows: 0, bytes: 0 };
