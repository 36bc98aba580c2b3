import { type CopyRows, copyField, taggedText, taggedValue } from "../../change/copy-text.ts";
import { TomboloError } from "../../change/error.ts";
import { type Position, position } from "../../change/names.ts";
import type { Value } from "../../change/value.ts";
import type { Tick } from "../change-log.ts";
import type { CopiedTable, CopyChanges, CopyChunk, NearSnapshot, Staged } from "../full-copy.ts";
import { type CapturedTable, capturedTable, shapeIds } from "./captured-tables.ts";
import type { Clock } from "./clock.ts";
import type { Connection, DatabaseFile } from "./connection.ts";
import { quote } from "./identifier.ts";
import { literalToValue, splitImage } from "./image.ts";
import { purgedUpTo } from "./purge.ts";
import { condition } from "./row-filter.ts";
import { type Bindable, boundValue, keyCondition, stored } from "./rows.ts";
import { newestEntry, seenNow, storeTick } from "./tick.ts";

const PIECE_BYTES = 1 << 18;
const REPLACEMENT = "\uFFFD";

export async function openCopy(options: {
  readonly file: DatabaseFile;
  readonly clock: Clock;
  readonly copied: readonly CopiedTable[];
}): Promise<NearSnapshot> {
  const { file } = options;
  const connection = file.connect();
  try {
    // a transaction that reads is a snapshot; writers are serial, so that its newest entry is exactly what it shows
    connection.exec("begin");
    const shown = { position: position(newestEntry(connection)), seen: seenNow(connection) };
    for (const { shape } of options.copied) capturedTable(connection, shape.table, file.node);
    const tick = await file.write((writer) => storeTick(writer, shown, options.clock()));
    return new SqliteCopySnapshot({ connection, tick, file });
  } catch (error) {
    connection.close();
    throw error;
  }
}

/** Holds a read transaction on a connection of its own: the WAL grows with what is written until it is closed. */
class SqliteCopySnapshot implements NearSnapshot {
  readonly tick: Tick;
  readonly #connection: Connection;
  readonly #file: DatabaseFile;

  constructor(options: { readonly connection: Connection; readonly tick: Tick; readonly file: DatabaseFile }) {
    this.tick = options.tick;
    this.#connection = options.connection;
    this.#file = options.file;
  }

  async estimate(copied: CopiedTable): Promise<number> {
    return Number(
      this.#connection
        .prepare(`select count(*) from ${quote(this.#table(copied).local)}`)
        .pluck()
        .get(),
    );
  }

  async chunk(copied: CopiedTable, after: string | null, maxRows: number): Promise<CopyChunk> {
    const table = this.#table(copied);
    const keys = table.key.map(quote).join(", ");
    const beyond = after === null ? [] : [compared(table, ">", after)];
    const last = this.#connection
      .prepare(`select ${keys} from ${quote(table.local)} ${where(beyond)} order by ${keys} limit 1 offset ?`)
      .raw()
      .get(...valuesOf(beyond), maxRows - 1) as Bindable[] | undefined;
    const upTo = last === undefined ? null : JSON.stringify(last.map((value) => tagged(boundValue(value))));
    const within = upTo === null ? beyond : [...beyond, compared(table, "<=", upTo)];
    return { rows: this.#rows(copied, within), upTo };
  }

  /** Of the whole file: it does not tell more without reading it. */
  async size(): Promise<number> {
    const [pages, bytes] = ["page_count", "page_size"].map((name) => Number(this.#connection.pragma(name, { simple: true })));
    return (pages as number) * (bytes as number);
  }

  all(copied: CopiedTable): CopyRows {
    return this.#rows(copied, []);
  }

  async changed(copied: CopiedTable, since: Position, soFar: Pick<Staged, "upTo" | "done">): Promise<CopyChanges | null> {
    const table = this.#table(copied);
    if ((purgedUpTo(this.#connection).get(table.channel) ?? 0n) > since) return null;
    const ids = shapeIds(this.#connection, table.id).join(", ");
    const keys = this.#connection
      .prepare(`select distinct key from tombolo_change where table_id in (${ids}) and seq > ? and target is null`)
      .pluck()
      .all(since) as string[];
    const values = keys.map((key) => splitImage(key).map(literalToValue));
    const there = soFar.done ? [] : [soFar.upTo === null ? { sql: "0", values: [] } : compared(table, "<=", soFar.upTo)];
    const one = { sql: keyCondition(table), values: [] };
    return {
      table: table.name,
      keys: () => pieces(values.map(line)),
      rows: () => this.#rowsOf(copied, [one, ...there], values),
    };
  }

  async close(): Promise<void> {
    if (this.#connection.open) this.#connection.close();
  }

  async *#rowsOf(copied: CopiedTable, conditions: readonly Condition[], keys: readonly (readonly Value[])[]): AsyncGenerator<Buffer> {
    for (const key of keys) {
      const [one, ...others] = conditions as [Condition, ...Condition[]];
      yield* this.#rows(copied, [{ sql: one.sql, values: key.map(stored) }, ...others]);
    }
  }

  #rows(copied: CopiedTable, conditions: readonly Condition[]): CopyRows {
    const { shape, rows } = copied;
    const table = this.#table(copied);
    const columns = shape.columns.map(({ name }) => quote(name));
    const all = rows === null ? conditions : [...conditions, condition(rows)];
    const order = table.key.map(quote).join(", ");
    const iterate = (list: string): IterableIterator<Bindable[]> =>
      this.#connection
        .prepare(`select ${list} from ${quote(table.local)} ${where(all)} order by ${order}`)
        .raw()
        .iterate(...valuesOf(all)) as IterableIterator<Bindable[]>;
    return pieces(lines(iterate(columns.join(", ")), (row) => this.#mustBeExact(copied, row)));
  }

  /** A text that is not UTF-8 is mended on its way out of SQLite, which must not pass for it. */
  #mustBeExact({ shape }: CopiedTable, row: readonly Bindable[]): void {
    for (const [at, value] of row.entries()) {
      if (typeof value !== "string" || !value.includes(REPLACEMENT)) continue;
      const keys = shape.key.map((name) => shape.columns.findIndex((column) => column.name === name));
      const table = capturedTable(this.#connection, shape.table, this.#file.node);
      const column = quote(shape.columns[at]?.name ?? "");
      const exact = `select cast(${column} as blob) = ? from ${quote(table.local)} where ${keyCondition(table)}`;
      const bound = [Buffer.from(value, "utf8"), ...keys.map((key) => row[key] ?? null)];
      const same = this.#file.read((connection) => connection.prepare(exact).pluck().get(bound));
      if (same === 1n) continue;
      throw new TomboloError(`a text of column ${shape.columns[at]?.name} of ${shape.table} is not valid Unicode`, {
        code: "VALUE_REFUSED",
        kind: "operator",
        hint: "correct the text where it is",
      });
    }
  }

  #table({ shape }: CopiedTable): CapturedTable {
    return capturedTable(this.#connection, shape.table, this.#file.node);
  }
}

interface Condition {
  readonly sql: string;
  readonly values: readonly Bindable[];
}

const where = (conditions: readonly Condition[]): string =>
  conditions.length === 0 ? "" : `where ${conditions.map(({ sql }) => sql).join(" and ")}`;
const valuesOf = (conditions: readonly Condition[]): Bindable[] => conditions.flatMap(({ values }) => values);

function compared(table: CapturedTable, operator: string, key: string): Condition {
  const values = (JSON.parse(key) as string[]).map((text) => stored(taggedValue(text)));
  return { sql: `(${table.key.map(quote).join(", ")}) ${operator} (${values.map(() => "?").join(", ")})`, values };
}

const tagged = (value: Value): string => (value === null ? "" : taggedText(value));
const line = (values: readonly Value[]): string =>
  `${values.map((value) => copyField(value === null ? null : taggedText(value))).join("\t")}\n`;

function* lines(rows: Iterable<readonly Bindable[]>, check: (row: readonly Bindable[]) => void): Generator<string> {
  for (const row of rows) {
    let text = "";
    let suspicious = false;
    for (let at = 0; at < row.length; at++) {
      const value = row[at] as Bindable;
      if (at > 0) text += "\t";
      if (typeof value === "bigint") text += `i${value}`;
      else {
        text += copyField(value === null ? null : taggedText(boundValue(value) as Exclude<Value, null>));
        suspicious ||= typeof value === "string" && value.includes(REPLACEMENT);
      }
    }
    if (suspicious) check(row);
    yield `${text}\n`;
  }
}

/** Lines put together to what is worth sending; between two, whatever else this process has to do gets its turn. */
async function* pieces(all: Iterable<string>): AsyncGenerator<Buffer> {
  let text = "";
  for (const one of all) {
    text += one;
    if (text.length < PIECE_BYTES) continue;
    yield Buffer.from(text, "utf8");
    text = "";
  }
  if (text !== "") yield Buffer.from(text, "utf8");
}
