import type pg from "pg";
import type { TomboloError } from "../../change/error.ts";
import { sumsText } from "../../change/row-digest.ts";
import type { Tick } from "../change-log.ts";
import type { DigestSnapshot, Digests, DigestTable, FoundRow, KeyRange, KeyText, RangeDigest, RowDigest } from "../digest.ts";
import { bucketRange } from "../digest-ranges.ts";
import { filterFailed } from "../filter-fault.ts";
import { Places } from "../places.ts";
import { textArray } from "./array-literal.ts";
import type { CapturedTable, CapturedTables } from "./captured-tables.ts";
import { type DigestSql, digestSql, normalisedSql, type Statement } from "./digest-sql.ts";
import { isServerError, postgresError } from "./postgres-error.ts";
import type { LogGate } from "./slot/log-gate.ts";
import { tickAtSnapshotOf } from "./snapshot.ts";
import { CLASS_DATA, CLASS_INTEGRITY } from "./sqlstate.ts";

/** What the database says of texts that are no row of the table. */
const NO_ROW = [CLASS_DATA, CLASS_INTEGRITY];

/** Each holds a connection of the node's pool. */
const MOST_AT_ONCE = 4;

/** Digests of the tables of a Postgres node, computed by the server. */
export class PostgresDigests implements Digests {
  readonly #pool: pg.Pool;
  readonly #tables: CapturedTables;
  readonly #hstore: string;
  readonly #gate: LogGate;
  readonly #places = new Places(MOST_AT_ONCE);

  constructor(options: { readonly pool: pg.Pool; readonly tables: CapturedTables; readonly hstore: string; readonly gate: LogGate }) {
    this.#pool = options.pool;
    this.#tables = options.tables;
    this.#hstore = options.hstore;
    this.#gate = options.gate;
  }

  async open(wanted: readonly DigestTable[]): Promise<DigestSnapshot> {
    const leave = await this.#places.take();
    let client: pg.PoolClient | undefined;
    try {
      const captured = await this.#tables.named(wanted.map(({ table }) => table));
      client = await this.#pool.connect();
      const tick = await tickAtSnapshotOf(this.#pool, client);
      // what the rows show, the log up to the tick shows as well
      await this.#gate.complete();
      const isUtf8 = await speaksUtf8(client);
      const tables = wanted.map((table, index) => ({
        wanted: table,
        sql: digestSql({ table: captured[index] as CapturedTable, wanted: table, hstore: this.#hstore, isUtf8 }),
      }));
      return new PostgresDigestSnapshot({ client, tick, tables, leave });
    } catch (error) {
      client?.release(error as Error);
      leave();
      throw postgresError(error);
    }
  }

  async normalised(wanted: DigestTable, rows: readonly (readonly (string | null)[])[]): Promise<readonly (string | null)[]> {
    const [table] = await this.#tables.named([wanted.table]);
    const client = await this.#pool.connect();
    try {
      const text = normalisedSql(table as CapturedTable, wanted, await speaksUtf8(client));
      return await eachThatFits(rows, async (some) => {
        const values = wanted.columns.map((_, at) => textArray(some.map((row) => row[at] ?? null)));
        const { rows: found } = await client.query<[string]>({ text, values, rowMode: "array" } as pg.QueryArrayConfig);
        return found.map(([digest]) => digest);
      });
    } catch (error) {
      throw postgresError(error);
    } finally {
      client.release();
    }
  }
}

/** Asks about many at once. What the database does not take for values of the table is null, and is found by halving: the others are answered. */
async function eachThatFits<T, A>(all: readonly T[], ask: (some: readonly T[]) => Promise<(A | null)[]>): Promise<(A | null)[]> {
  if (all.length === 0) return [];
  try {
    return await ask(all);
  } catch (error) {
    if (!isServerError(error) || !NO_ROW.some((refused) => error.code.startsWith(refused))) throw error;
    if (all.length === 1) return [null];
  }
  const half = all.length >> 1;
  return [...(await eachThatFits(all.slice(0, half), ask)), ...(await eachThatFits(all.slice(half), ask))];
}

async function speaksUtf8(client: pg.ClientBase): Promise<boolean> {
  const { rows } = await client.query<{ encoding: string }>("select current_setting('server_encoding') as encoding");
  return rows[0]?.encoding === "UTF8";
}

interface OpenTable {
  readonly wanted: DigestTable;
  readonly sql: DigestSql;
}

class PostgresDigestSnapshot implements DigestSnapshot {
  readonly tick: Tick;
  readonly #client: pg.PoolClient;
  readonly #tables: readonly OpenTable[];
  readonly #leave: () => void;
  #failed: unknown;

  constructor(options: {
    readonly client: pg.PoolClient;
    readonly tick: Tick;
    readonly tables: readonly OpenTable[];
    /** Called when it is closed. */
    readonly leave: () => void;
  }) {
    this.tick = options.tick;
    this.#client = options.client;
    this.#tables = options.tables;
    this.#leave = options.leave;
  }

  async bounds(table: number, range: KeyRange, step: { readonly rows: number; readonly count: number }): Promise<readonly KeyText[]> {
    const rows = await this.#ask<[string]>(table, (sql) => sql.bounds(range, step));
    return rows.map(([key]) => keyText(key));
  }

  async digests(table: number, ranges: readonly KeyRange[]): Promise<readonly RangeDigest[]> {
    const found: RangeDigest[] = [];
    for (const range of ranges) {
      const [[rows = "0", first = null, second = null] = []] = await this.#ask<[string, string | null, string?]>(table, (sql) =>
        sql.digest(range),
      );
      const digest = first !== null && second !== null ? sumsText(BigInt(first), BigInt(second)) : (first ?? "");
      found.push({ range, rows: Number(rows), digest });
    }
    return found;
  }

  async buckets(table: number, digits: number): Promise<readonly RangeDigest[]> {
    // all of it is read, and the pinned settings rule out the cheapest way to do that
    await this.#client.query("set local enable_seqscan = on");
    const rows = await this.#ask<[string, string, string, string]>(table, (sql) => sql.buckets(digits));
    await this.#client.query("set local enable_seqscan = off");
    return rows.map(([bucket, count, high, low]) => ({
      range: bucketRange(bucket),
      rows: Number(count),
      digest: sumsText(BigInt(high), BigInt(low)),
    }));
  }

  async list(table: number, ranges: readonly KeyRange[]): Promise<readonly RowDigest[]> {
    const found: RowDigest[] = [];
    const isHashed = this.#tables[table]?.wanted.order === "hash";
    if (isHashed) await this.#client.query("set local enable_seqscan = on");
    for (const some of isHashed ? [ranges] : ranges.map((range) => [range])) {
      const rows = await this.#ask<[string, string]>(table, (sql) => sql.list(some));
      for (const [key, digest] of rows) found.push({ key: keyText(key), digest });
    }
    if (isHashed) await this.#client.query("set local enable_seqscan = off");
    return found;
  }

  async digestsOf(table: number, keys: readonly KeyText[]): Promise<readonly (string | null)[]> {
    return this.#byKey<[string, string], string>(
      keys,
      (some) => this.#tables[table]?.sql.digestsOf(some),
      ([, digest]) => digest,
    );
  }

  async rows(table: number, keys: readonly KeyText[]): Promise<readonly (FoundRow | null)[]> {
    const columns = this.#tables[table]?.wanted.columns ?? [];
    return this.#byKey<[string, string, string], FoundRow>(
      keys,
      (some) => this.#tables[table]?.sql.rows(some),
      ([, key, row]) => {
        const values = JSON.parse(row) as { [column: string]: string | null };
        return { key, row, texts: columns.map(({ name }) => values[name] ?? null) };
      },
    );
  }

  /** `make`: answers rows that begin with the place of their key, from 1 on. */
  async #byKey<R extends [string, ...string[]], A>(
    keys: readonly KeyText[],
    make: (some: readonly KeyText[]) => Statement | undefined,
    read: (row: R) => A,
  ): Promise<readonly (A | null)[]> {
    const tellable = keys.filter((key) => !hasNul(key));
    const found = await eachThatFits(tellable, async (some) => {
      // a statement that fails ends only itself
      await this.#client.query("savepoint row");
      const answers: (A | null)[] = some.map(() => null);
      try {
        const { rows } = await this.#client.query<R>(statement(make(some)));
        for (const row of rows) answers[Number(row[0]) - 1] = read(row);
      } catch (error) {
        await this.#client.query("rollback to savepoint row");
        throw error;
      }
      await this.#client.query("release savepoint row");
      return answers;
    });
    const byKey = new Map(tellable.map((key, at) => [key, found[at] ?? null]));
    return keys.map((key) => byKey.get(key) ?? null);
  }

  async close(): Promise<void> {
    await this.#client.query("rollback").catch((error) => {
      this.#failed ??= error;
    });
    this.#client.release(this.#failed as Error | undefined);
    this.#leave();
  }

  async #ask<R extends unknown[]>(index: number, make: (sql: DigestSql) => Statement): Promise<R[]> {
    const table = this.#tables[index] as OpenTable;
    try {
      const { rows } = await this.#client.query<R>(statement(make(table.sql)));
      return rows;
    } catch (error) {
      throw explained(error, table);
    }
  }
}

const statement = (made: Statement | undefined): pg.QueryArrayConfig => ({ text: "", ...made, rowMode: "array" });

/** Postgres has no such text, and so no such key. */
const hasNul = (key: KeyText): boolean => (JSON.parse(key) as (string | null)[]).some((text) => text?.includes("\0") === true);

function explained(error: unknown, { wanted }: OpenTable): TomboloError {
  const failed = wanted.filter !== null && isServerError(error) && error.code.startsWith(CLASS_DATA);
  return failed ? filterFailed([wanted.table], error.code) : postgresError(error);
}

/** As JavaScript writes it: the other engine's is the same. */
const keyText = (json: string): KeyText => JSON.stringify(JSON.parse(json));
