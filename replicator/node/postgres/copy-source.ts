import type pg from "pg";
import { to } from "pg-copy-streams";
import type { CopyRows } from "../../change/copy-text.ts";
import { TomboloError } from "../../change/error.ts";
import { filterCondition } from "../../change/filter-text.ts";
import type { Position } from "../../change/names.ts";
import type { Tick } from "../change-log.ts";
import { filterFailed } from "../filter-fault.ts";
import type { CopiedTable, CopyChanges, CopyChunk, CopyForm, NearSnapshot, Staged } from "../full-copy.ts";
import type { CapturedTable, CapturedTables } from "./captured-tables.ts";
import { typed } from "./column-sql.ts";
import { ident, literal } from "./identifier.ts";
import { isServerError, postgresError } from "./postgres-error.ts";
import { rowsOf } from "./row-filter.ts";
import { RowsSince } from "./rows-since.ts";
import { columnNamed } from "./set-statements.ts";
import type { LogGate } from "./slot/log-gate.ts";
import { tickAtSnapshotOf } from "./snapshot.ts";
import { CLASS_DATA } from "./sqlstate.ts";

/** A table that was never analysed is counted up to this size. */
const COUNTED_BYTES = 256 * 2 ** 20;

/** Whole tables are scanned. The log is not: its segments are never analysed, and a scan that finds nothing there takes seconds. */
type Reading = "on" | "off";
const SCAN = "on";
const LOOK_UP = "off";

export async function openCopy(options: {
  readonly pool: pg.Pool;
  readonly tables: CapturedTables;
  readonly gate: LogGate;
  readonly hstore: string;
  readonly copied: readonly CopiedTable[];
}): Promise<NearSnapshot> {
  const { pool, copied } = options;
  const tables = await options.tables.named(copied.map(({ shape }) => shape.table));
  const client = await pool.connect().catch((error) => {
    throw postgresError(error);
  });
  try {
    const tick = await tickAtSnapshotOf(pool, client);
    await options.gate.complete();
    await client.query("set local idle_in_transaction_session_timeout = 0");
    return new PostgresCopySnapshot({ pool, client, tables, tick, hstore: options.hstore });
  } catch (error) {
    client.release(true);
    throw postgresError(error);
  }
}

/** Holds a transaction that reads on a connection of its own. */
class PostgresCopySnapshot implements NearSnapshot {
  readonly tick: Tick;
  readonly #pool: pg.Pool;
  readonly #client: pg.PoolClient;
  readonly #tables: readonly CapturedTable[];
  readonly #hstore: string;
  #reading = false;
  #how: Reading = LOOK_UP;

  constructor(options: {
    readonly pool: pg.Pool;
    readonly client: pg.PoolClient;
    readonly tables: readonly CapturedTable[];
    readonly tick: Tick;
    readonly hstore: string;
  }) {
    this.#pool = options.pool;
    this.#hstore = options.hstore;
    this.#client = options.client;
    this.#tables = options.tables;
    this.tick = options.tick;
  }

  async estimate(copied: CopiedTable): Promise<number> {
    const { sql } = this.#table(copied);
    await this.#read(SCAN);
    const [rows, bytes] = await this.#row(
      `select sum(greatest(c.reltuples, 0))::bigint::text, sum(pg_relation_size(c.oid))::text
         from pg_class c where c.oid in (select relid from pg_partition_tree(${literal(sql)}) where isleaf union all select ${literal(sql)}::regclass)`,
    );
    if (Number(rows) > 0) return Number(rows);
    if (Number(bytes) > COUNTED_BYTES) return Math.round(Number(bytes) / 100);
    return Number((await this.#row(`select count(*) from ${sql}`))[0]);
  }

  async chunk(copied: CopiedTable, after: string | null, maxRows: number): Promise<CopyChunk> {
    const table = this.#table(copied);
    const beyond = after === null ? [] : [this.#compared(table, ">", after)];
    const keys = table.key.map(ident).join(", ");
    await this.#read(SCAN);
    const [upTo = null] = await this.#row(
      `select to_json(array[${table.key.map((name) => `${ident(name)}::text`).join(", ")}])::text from ${table.sql} ${where(beyond)}
        order by ${keys} offset ${maxRows - 1} limit 1`,
    );
    const within = upTo === null ? beyond : [...beyond, this.#compared(table, "<=", upTo)];
    return { rows: this.#copy(copied, within, SCAN), upTo };
  }

  async size(tables: readonly CopiedTable[]): Promise<number> {
    let sum = 0;
    for (const copied of tables) {
      const leaves = `select relid from pg_partition_tree(${literal(this.#table(copied).sql)}) where isleaf union select ${literal(this.#table(copied).sql)}::regclass`;
      // with what is kept beside the rows, compressed or not
      sum += Number((await this.#row(`select sum(pg_table_size(relid))::text from (${leaves}) as l`))[0]);
    }
    return sum;
  }

  all(copied: CopiedTable, form: CopyForm): CopyRows {
    return this.#copy(copied, [], SCAN, form);
  }

  async changed(copied: CopiedTable, since: Position, soFar: Pick<Staged, "upTo" | "done">): Promise<CopyChanges | null> {
    const table = this.#table(copied);
    await this.#read(LOOK_UP);
    const [from] = await this.#row(`select snapshot::text from tombolo.tick where position = ${since}`);
    const [upTo] = await this.#row("select pg_current_snapshot()::text");
    if (from === undefined || upTo === undefined) return null;
    const touched = new RowsSince({ pool: this.#pool, hstore: this.#hstore, table, since: from, upTo });
    if (await touched.wereTruncated()) return null;
    const so = soFar.done ? [] : [soFar.upTo === null ? "false" : this.#compared(table, "<=", soFar.upTo)];
    return { table: table.name, keys: () => touched.keys(), rows: () => this.#touched(copied, touched, so) };
  }

  async *#touched(copied: CopiedTable, touched: RowsSince, conditions: readonly string[]): CopyRows {
    for await (const some of touched.conditions()) yield* this.#copy(copied, [some, ...conditions], LOOK_UP);
  }

  async close(): Promise<void> {
    // what is asked of a connection waits behind a copy that was left before its end
    let broken = this.#reading;
    if (!broken) {
      await this.#client.query("rollback").catch(() => {
        broken = true;
      });
    }
    this.#client.release(broken);
  }

  #copy(copied: CopiedTable, conditions: readonly string[], how: Reading, form: CopyForm = "text"): CopyRows {
    const { shape, rows } = copied;
    const table = this.#table(copied);
    const columns = shape.columns.map(({ name }) => ident(name)).join(", ");
    const all = rows === null ? conditions : [...conditions, filterLiteral(rows)];
    return this.#stream(
      `copy (select ${columns} from ${rowsOf(table)} ${where(all)}) to stdout (format ${form})`,
      how,
      rows === null ? undefined : table,
    );
  }

  async #read(how: Reading): Promise<void> {
    if (this.#how === how) return;
    await this.#client.query(`set local enable_seqscan = ${how}`);
    this.#how = how;
  }

  async *#stream(sql: string, how: Reading, filtered?: CapturedTable): AsyncGenerator<Buffer> {
    this.#reading = true;
    try {
      await this.#read(how);
      for await (const piece of this.#client.query(to(sql, { highWaterMark: 1 << 18 }))) yield piece as Buffer;
      this.#reading = false;
    } catch (error) {
      const failed = filtered !== undefined && isServerError(error) && error.code.startsWith(CLASS_DATA);
      throw failed ? filterFailed([filtered.name], error.code) : postgresError(error);
    }
  }

  #compared(table: CapturedTable, operator: string, key: string): string {
    const values = (JSON.parse(key) as string[]).map((value, at) =>
      typed(`${literal(value)}::text`, columnNamed(table, table.key[at] as string)),
    );
    return `(${table.key.map(ident).join(", ")}) ${operator} (${values.join(", ")})`;
  }

  #table({ shape }: CopiedTable): CapturedTable {
    return this.#tables.find(({ name }) => name === shape.table) as CapturedTable;
  }

  async #row(text: string): Promise<(string | undefined)[]> {
    try {
      const { rows } = await this.#client.query({ text, rowMode: "array" });
      return ((rows[0] as (string | null)[] | undefined) ?? []).map((value) => value ?? undefined);
    } catch (error) {
      throw error instanceof TomboloError ? error : postgresError(error);
    }
  }
}

const where = (conditions: readonly string[]): string => (conditions.length === 0 ? "" : `where ${conditions.join(" and ")}`);

/** COPY takes no parameters: a filter's values stand in the statement. */
export function filterLiteral(filter: NonNullable<CopiedTable["rows"]>): string {
  const { values } = filterCondition(filter, "postgres", () => "");
  return `(${filterCondition(filter, "postgres", (occurrence) => literal(values[occurrence] ?? "")).sql})`;
}
