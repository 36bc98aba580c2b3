import { setTimeout as delay } from "node:timers/promises";
import Database from "better-sqlite3";
import pg from "pg";
import type { Oracle } from "./oracle.ts";

/** An application that writes to one node until it is told to stop, and survives the node's crashes. */
export interface Writer {
  stop(): Promise<void>;
}

interface WriterOptions {
  readonly node: string;
  readonly oracle: Oracle;
  /** 0 up to 1. */
  readonly random: () => number;
  readonly pauseMs: number;
}

/**
 * What the writers write to. `note` and `badge` hold values that are one of a kind; a badge's code is unique, and taken from few. `tally` counts, and
 * `added`, which stays at its node, is written in the same transaction: it says what a counter ought to be, whatever was cut off.
 */
export const SCHEMA = `
  create table note (id varchar(40) primary key not null, body text not null);
  create table badge (id varchar(40) primary key not null, body text not null, code integer unique);
  create table tally (id varchar(40) primary key not null, n integer not null, body text);
  create table added (id varchar(40) not null, n integer not null);`;
export const COUNTERS = ["x", "y"];
const CODES = 12;

interface Write {
  readonly table: "note" | "badge" | "tally";
  readonly kind: "insert" | "update" | "delete";
  readonly token: string;
  /** A code, or what is added. */
  readonly number: number;
}

function* writes({ node, random }: WriterOptions): Generator<Write> {
  for (let number = 1; ; number++) {
    const [which, dice, value] = [random(), random(), random()];
    const table = which < 0.5 ? "note" : which < 0.75 ? "badge" : "tally";
    const kind = dice < 0.5 ? "insert" : dice < 0.93 ? "update" : "delete";
    yield { table, kind, token: `${node}:${number}`, number: Math.floor(value * CODES) - (table === "tally" ? 4 : 0) };
  }
}

/** A row that a write is about, as the writer sees it. */
interface Found {
  readonly id: string;
  readonly body: string | null;
}

/** Which row a write is about: its counter, or some row of the table; nothing where it makes one. */
function search({ table, kind, number }: Write): readonly [string, ...string[]] | undefined {
  if (table === "tally") return ["select id, body from tally where id = ?", COUNTERS[Math.abs(number) % COUNTERS.length] as string];
  return kind === "insert" ? undefined : [`select id, body from ${table} order by random() limit 1`];
}

/** The statements of a write, with `?` for values; none where it has nothing to write to. */
function statements({ table, kind, token, number }: Write, row: Found | undefined): readonly (readonly [string, ...(string | number)[]])[] {
  if (table === "tally") {
    if (row === undefined) return [];
    return [
      ["insert into added (id, n) values (?, ?)", row.id, number],
      ["update tally set n = n + ? where id = ?", number, row.id],
    ];
  }
  const code = table === "badge" && number > 0;
  if (kind === "insert") {
    return code
      ? [["insert into badge (id, body, code) values (?, ?, ?)", token, token, number]]
      : [[`insert into ${table} (id, body) values (?, ?)`, token, token]];
  }
  if (row === undefined) return [];
  if (kind === "delete") return [[`delete from ${table} where id = ?`, row.id]];
  return code
    ? [["update badge set body = ?, code = ? where id = ?", token, number, row.id]]
    : [[`update ${table} set body = ? where id = ?`, token, row.id]];
}

/** Tells the oracle what was committed, or may have been. */
function tell(oracle: Oracle, { table, kind, token }: Write, row: Found | undefined, certain: boolean): void {
  if (table === "tally") return;
  const over = kind === "insert" ? null : (row?.body ?? null);
  if (kind !== "insert" && over === null) return;
  // a deletion writes nothing: what it deleted was seen
  const written = kind === "delete" ? (over as string) : token;
  if (certain) oracle.committed(written, over);
  else oracle.uncertain(written, over);
}

const asPostgres = (sql: string): string => {
  let at = 0;
  return sql.replaceAll("?", () => `$${++at}`);
};

export function postgresWriter(url: string, options: WriterOptions): Writer {
  let stopped = false;
  const work = async (): Promise<void> => {
    let client: pg.Client | undefined;
    for (const write of writes(options)) {
      if (stopped) break;
      const wanted = search(write);
      let row: Found | undefined;
      let sent = false;
      try {
        if (client === undefined) {
          client = new pg.Client({ connectionString: url });
          client.on("error", () => undefined);
          await client.connect();
        }
        await client.query("begin");
        if (wanted !== undefined) {
          const [sql, ...values] = wanted;
          // locked: a first copy that arrives between two statements would be seen by one of them only. A counter is worth waiting for
          const lock = write.table === "tally" ? "for update" : "for update skip locked";
          const { rows } = await client.query(`${asPostgres(sql)} ${lock}`, values);
          row = rows[0] as Found | undefined;
        }
        for (const [sql, ...values] of statements(write, row)) await client.query(asPostgres(sql), values);
        sent = true;
        await client.query("commit");
        tell(options.oracle, write, row, true);
      } catch {
        if (sent) tell(options.oracle, write, row, false);
        await client?.end().catch(() => undefined);
        client = undefined;
        await delay(50);
      }
      await delay(options.pauseMs * options.random());
    }
    await client?.end().catch(() => undefined);
  };
  const done = work();
  return {
    async stop() {
      stopped = true;
      await done;
    },
  };
}

export function sqliteWriter(path: string, options: WriterOptions): Writer {
  let stopped = false;
  const work = async (): Promise<void> => {
    const database = new Database(path, { timeout: 10_000 });
    for (const write of writes(options)) {
      if (stopped) break;
      const wanted = search(write);
      let row: Found | undefined;
      try {
        database
          .transaction(() => {
            if (wanted !== undefined) {
              const [sql, ...values] = wanted;
              row = database.prepare(sql).get(...values) as Found | undefined;
            }
            for (const [sql, ...values] of statements(write, row)) database.prepare(sql).run(...values);
          })
          .immediate();
        tell(options.oracle, write, row, true);
      } catch (error) {
        // the code is taken here
        if (!(error instanceof Database.SqliteError) || error.code !== "SQLITE_CONSTRAINT_UNIQUE") throw error;
      }
      await delay(options.pauseMs * options.random());
    }
    database.close();
  };
  const done = work();
  return {
    async stop() {
      stopped = true;
      await done;
    },
  };
}
