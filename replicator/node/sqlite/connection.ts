import { statSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import Database from "better-sqlite3";
import { TomboloError } from "../../change/error.ts";
import type { NodeName } from "../../change/names.ts";
import { PageCaches } from "./page-caches.ts";
import { type InRead, inRead, ReadersBeside } from "./readers-beside.ts";

export type Connection = Database.Database;

/** Before it, several processes that checkpoint may corrupt the file (https://sqlite.org/changes.html, 3.51.3). */
const OLDEST_SAFE = [3, 51, 3] as const;
/** A lock is waited for in slices this short, because SQLite waits with the whole process standing still. */
const BUSY_SLICE_MS = 20;
const LOCK_PATIENCE_MS = 15_000;

const pageCaches = new PageCaches();
const readersBeside = new ReadersBeside();

/** Of this connection alone, gone with it: see log-keys.ts. Made outside of a transaction, so that none takes it back. */
const LOG_KEYS = `
  create temp table tombolo_log_key (key text, table_id integer, seq integer, primary key (key, table_id, seq)) without rowid;
  create temp table tombolo_log_indexed (epoch text, indexed integer, begun integer);
  insert into tombolo_log_indexed values ('', 0, 0)`;

/**
 * One database file, as this process uses it: a connection that one caller at a time may write with, and that serves short reads while nobody does; one that
 * only counts commits; and one for reads while a write is under way. They return integers as bigint.
 *
 * A connection holds the schema as it has parsed it: 1.3 MB where one of five captured tables has 50 columns, as the capture triggers name each column dozens of
 * times. So the counter never looks at the schema, and the reader is closed when it was not needed for a while.
 */
export class DatabaseFile {
  readonly path: string;
  readonly node: NodeName;
  readonly #writer: Connection;
  readonly #inWriter: InRead;
  readonly #counter: Connection;
  readonly #version: Database.Statement<unknown[]>;
  readonly #schemaVersion: Database.Statement<unknown[]>;
  #queue: Promise<unknown> = Promise.resolve();
  /** Of the file that is open; undefined while it is being opened. */
  #identity: string | undefined;

  constructor(options: { readonly node: NodeName; readonly path: string }) {
    this.path = options.path;
    this.node = options.node;
    checkFile(options);
    this.#counter = this.#open();
    try {
      // pragmas alone: any select would have the schema read
      this.#version = this.#counter.prepare("pragma data_version").pluck();
      this.#schemaVersion = this.#counter.prepare("pragma schema_version").pluck();
      this.#writer = this.connect();
    } catch (error) {
      this.#counter.close();
      throw sqliteError(error, this.node);
    }
    try {
      requireSafeVersion(sqliteVersion(this.#writer));
    } catch (error) {
      this.#counter.close();
      this.#writer.close();
      throw error;
    }
    this.#identity = identityOf(options.path);
    this.#inWriter = inRead(this.#writer);
    pageCaches.add(this.#writer);
  }

  /** Whether the path names another file by now, or none: what is open is then nobody's database any more. */
  get isReplaced(): boolean {
    return this.#identity !== undefined && identityOf(this.path) !== this.#identity;
  }

  #mustBeThere(): void {
    if (!this.isReplaced) return;
    checkFile(this);
    throw new TomboloError(`${this.node}: ${this.path} is another file than the one that is open`, {
      code: "DATABASE_REPLACED",
      kind: "connect",
      hint: "it was put in the place of the other; it is opened by itself",
    });
  }

  /** Another number whenever anything was committed to the file, by whomever. */
  get version(): bigint {
    this.#mustBeThere();
    try {
      return this.#version.get() as bigint;
    } catch (error) {
      throw sqliteError(error, this.node);
    }
  }

  /** Another number whenever anyone has changed the schema. */
  get schemaVersion(): bigint {
    try {
      return this.#schemaVersion.get() as bigint;
    } catch (error) {
      throw sqliteError(error, this.node);
    }
  }

  /** A connection of its own; whoever asks for it closes it. */
  connect(): Connection {
    this.#mustBeThere();
    const connection = this.#open();
    try {
      // the application's commits reach the disk with ours (hazards C14); its own setting does not matter
      connection.pragma("synchronous = full");
      connection.pragma(pageCaches.pragma);
      connection.pragma("foreign_keys = on");
      connection.exec(LOG_KEYS);
      return connection;
    } catch (error) {
      connection.close();
      throw sqliteError(error, this.node);
    }
  }

  #open(): Connection {
    try {
      const connection = new Database(this.path, { fileMustExist: true, timeout: BUSY_SLICE_MS });
      connection.defaultSafeIntegers();
      return connection;
    } catch (error) {
      throw sqliteError(error, this.node);
    }
  }

  /** Runs `work` in one read transaction: everything it reads is committed, and of one moment. It must end before the caller awaits anything. */
  read<T>(work: (connection: Connection) => T): T {
    const read = this.#writer.inTransaction ? readersBeside.of(this, () => this.connect()) : this.#inWriter;
    try {
      return read(work as (connection: Connection) => unknown) as T;
    } catch (error) {
      throw sqliteError(error, this.node);
    }
  }

  /** Runs `work` in one transaction that holds the write lock; `work` must not await. */
  write<T>(work: (connection: Connection) => T): Promise<T> {
    return this.writeAsync(async (connection) => work(connection));
  }

  /**
   * The same for work that awaits between its statements: the write lock is held meanwhile, so other writers of the file wait.
   * Used for packets that are too large to be read first. Nothing else of this process uses the connection until it is done.
   */
  async writeAsync<T>(work: (connection: Connection) => Promise<T>): Promise<T> {
    return this.exclusive(async (connection) => {
      await begin(connection, this.node);
      try {
        const result = await work(connection);
        await commit(connection, this.node);
        return result;
      } catch (error) {
        if (connection.inTransaction) connection.exec("rollback");
        throw sqliteError(error, this.node);
      }
    });
  }

  /** Lets `work` have the writing connection outside a transaction, e.g. for pragmas that need that. */
  exclusive<T>(work: (connection: Connection) => Promise<T>): Promise<T> {
    const turn = this.#queue.then(() => {
      this.#mustBeThere();
      return work(this.#writer);
    });
    this.#queue = turn.catch(() => undefined);
    return turn;
  }

  async close(): Promise<void> {
    await this.#queue;
    readersBeside.close(this);
    this.#counter.close();
    pageCaches.delete(this.#writer);
    this.#writer.close();
  }
}

/** Begins at once as a writer: a transaction that reads first and writes later fails without waiting (hazards C16). */
const begin = (connection: Connection, node: NodeName): Promise<void> => patiently(() => connection.exec("begin immediate"), node);
const commit = (connection: Connection, node: NodeName): Promise<void> => patiently(() => connection.exec("commit"), node);

async function patiently(step: () => void, node: NodeName): Promise<void> {
  const deadline = performance.now() + LOCK_PATIENCE_MS;
  for (;;) {
    try {
      step();
      return;
    } catch (error) {
      if (!isBusy(error) || performance.now() > deadline) throw sqliteError(error, node);
      await sleep(1 + Math.random() * 4);
    }
  }
}

const sqliteCode = (error: unknown): string => (error instanceof Database.SqliteError ? error.code : "");
const isBusy = (error: unknown): boolean => /^SQLITE_(BUSY|LOCKED)/.test(sqliteCode(error));

/** What an error of SQLite means to the caller. Messages of SQLite name tables and columns, never values. */
export function sqliteError(error: unknown, node: NodeName): unknown {
  if (error instanceof TomboloError || !(error instanceof Error)) return error;
  const code = sqliteCode(error) || String((error as { code?: unknown }).code ?? "");
  const message = `${node}: ${error.message}`;
  if (isBusy(error))
    return new TomboloError(message, {
      code: "DATABASE_BUSY",
      kind: "retry",
      hint: "another process holds the database's write lock",
      cause: error,
    });
  if (code === "SQLITE_FULL")
    return new TomboloError(message, { code: "DISK_FULL", kind: "retry", hint: "make room on the disk", cause: error });
  if (/^SQLITE_(CANTOPEN|IOERR|READONLY|PERM|AUTH)/.test(code)) {
    return new TomboloError(message, {
      code: "DATABASE_UNREACHABLE",
      kind: "connect",
      hint: "check the path and its permissions",
      cause: error,
    });
  }
  if (/^SQLITE_(NOTADB|CORRUPT)/.test(code)) {
    return new TomboloError(message, {
      code: "DATABASE_DAMAGED",
      kind: "operator",
      hint: "run `pragma integrity_check` and restore a backup",
      cause: error,
    });
  }
  return error;
}

/** What tells a file from another that is put in its place; undefined where there is none. */
function identityOf(path: string): string | undefined {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false });
  return found && `${found.dev} ${found.ino}`;
}

function checkFile(options: { readonly node: NodeName; readonly path: string }): void {
  const exists = (path: string): boolean => statSync(path, { throwIfNoEntry: false }) !== undefined;
  if (exists(options.path)) return;
  const folder = dirname(options.path);
  const what = exists(folder) ? `there is no database file ${options.path}` : `there is no folder ${folder}`;
  throw new TomboloError(`${options.node}: ${what}`, {
    code: "DATABASE_MISSING",
    kind: "connect",
    hint: "let the application create it first, or correct the path in the topology",
  });
}

/** Throws `SQLITE_TOO_OLD` (fatal). */
export function requireSafeVersion(version: string): void {
  const parts = version.split(".").map(Number);
  const [major = 0, minor = 0, patch = 0] = parts;
  const [a, b, c] = OLDEST_SAFE;
  if (major > a || (major === a && (minor > b || (minor === b && patch >= c)))) return;
  throw new TomboloError(`this build of better-sqlite3 brings SQLite ${version}, older than ${OLDEST_SAFE.join(".")}`, {
    code: "SQLITE_TOO_OLD",
    kind: "fatal",
    hint: "install the dependencies again with `npm ci`",
  });
}

export const sqliteVersion = (connection: Connection): string => connection.prepare("select sqlite_version()").pluck().get() as string;
