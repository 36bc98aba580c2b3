import type { Change } from "../../change/change.ts";
import { TomboloError } from "../../change/error.ts";
import type { TableName } from "../../change/names.ts";
import type { Column, TableShape } from "../../change/shape.ts";
import { parseRow, type Row, type RowText, type Value } from "../../change/value.ts";
import { type ColumnKind, columnKind } from "../../change/values/affinity.ts";
import { compileToSqlite } from "../../change/values/to-sqlite.ts";
import type { TableRule } from "../target.ts";
import type { CapturedTable } from "./captured-tables.ts";
import { type Bindable, boundValue } from "./rows.ts";

/** The columns that a row of a change has, with how to convert each: the same object for every row with the same columns. */
export interface ColumnSet {
  /** Names here. */
  readonly names: readonly string[];
  readonly kinds: readonly ColumnKind[];
  readonly convert: readonly ((value: Value) => Bindable)[];
}

export interface LocalRow {
  readonly set: ColumnSet;
  readonly values: readonly Bindable[];
}

/** A change of a packet in this database's terms. */
export interface IncomingChange {
  readonly change: Change;
  readonly table: IncomingTable;
  /** In the order of the key here. */
  readonly key: readonly Bindable[];
  readonly old: LocalRow | null;
  readonly new: LocalRow | null;
}

/** A column of a sender as a column here. */
export interface ColumnTarget {
  readonly name: string;
  readonly kind: ColumnKind;
  readonly convert: (value: Value) => Bindable;
}

const LONE_SURROGATE = /\p{Surrogate}/u;

/** A table of a packet, matched with the captured table here. */
export class IncomingTable {
  readonly table: CapturedTable;
  readonly shape: TableShape;
  readonly rule: TableRule;
  /** Why no change of the table can be applied now. */
  readonly misfit: TomboloError | null;
  readonly #targets = new Map<string, ColumnTarget>();
  readonly #sets = new Map<string, ColumnSet>();
  /** What the sender lets travel and this node does not: left out. */
  readonly #excluded: ReadonlySet<string>;

  constructor(options: {
    readonly table: CapturedTable;
    readonly strict: boolean;
    readonly shape: TableShape;
    readonly rule: TableRule;
    readonly misfit: TomboloError | null;
  }) {
    const { table, strict, shape } = options;
    this.table = table;
    this.misfit = options.misfit;
    this.shape = shape;
    this.rule = options.rule;
    const staying = new Set(table.excluded.map((name) => name.toLowerCase()));
    this.#excluded = new Set(shape.columns.map(({ name }) => name).filter((name) => staying.has(name.toLowerCase())));
    for (const column of shape.columns) {
      const local = localColumn(table, column.name);
      if (local !== undefined) this.#targets.set(column.name, columnTarget({ column, shape, local, strict }));
    }
  }

  get name(): TableName {
    return this.table.name;
  }

  /** Throws a TomboloError (`TABLE_MISSING`, `COLUMN_MISSING`, `VALUE_REFUSED`) when a value has no place here; the change is then parked. */
  incoming(change: Change): IncomingChange {
    if (this.misfit !== null) throw this.misfit;
    const key = this.#row(change.key);
    return { change, table: this, key: this.#inKeyOrder(key), old: this.#row(change.old), new: this.#row(change.new) };
  }

  #inKeyOrder(row: LocalRow | null): readonly Bindable[] {
    const { key } = this.table;
    if (row === null || row.values.length !== key.length) throw this.#missing(key.join(", "));
    if (key.length === 1) return row.values;
    return key.map((name) => row.values[row.set.names.indexOf(name)] ?? null);
  }

  #row(text: RowText | null): LocalRow | null {
    if (text === null || text === "") return null;
    const row = parseRow(text);
    const all = Object.keys(row);
    const names = this.#excluded.size === 0 ? all : all.filter((name) => !this.#excluded.has(name));
    const id = names.length === 1 ? (names[0] as string) : names.join("\0");
    const set = this.#sets.get(id) ?? this.#newSet(id, names);
    const values = new Array<Bindable>(names.length);
    for (let at = 0; at < names.length; at++) values[at] = (set.convert[at] as ColumnTarget["convert"])(row[names[at] as string] as Value);
    return { set, values };
  }

  #newSet(id: string, names: readonly string[]): ColumnSet {
    const targets = names.map((name) => {
      const found = this.#targets.get(name);
      if (found === undefined) throw this.#missing(name);
      return found;
    });
    const set: ColumnSet = {
      names: targets.map(({ name }) => name),
      kinds: targets.map(({ kind }) => kind),
      convert: targets.map(({ convert }) => convert),
    };
    this.#sets.set(id, set);
    return set;
  }

  #missing(column: string): TomboloError {
    return new TomboloError(`table ${this.table.name} has no column ${column} here`, {
      code: "COLUMN_MISSING",
      kind: "operator",
      hint: "add the column here, or drop it at the sender; what waits then applies by itself",
    });
  }
}

/** Column names of SQLite do not differ by case alone. */
export const localColumn = (table: CapturedTable, name: string): Column | undefined =>
  table.columns.find((column) => column.name === name) ?? table.columns.find((column) => column.name.toLowerCase() === name.toLowerCase());

/** `decoded`: values come from bytes of UTF-8, which hold no half of a surrogate pair. */
export function columnTarget(pair: {
  readonly column: Column;
  readonly shape: TableShape;
  readonly local: Column;
  readonly strict: boolean;
  readonly decoded?: boolean;
}): ColumnTarget {
  const { column, shape, local, strict } = pair;
  const encode = compileToSqlite(column, shape.engine, local, strict);
  const kind = columnKind(local.type, strict);
  const convert = (value: Value): Bindable => {
    const bound = encode(value);
    if (typeof bound === "string" && pair.decoded !== true && LONE_SURROGATE.test(bound)) throw notText(column.name);
    return asStored(bound, kind);
  };
  return { name: local.name, kind, convert };
}

const notText = (column: string): TomboloError =>
  new TomboloError(`the text of column ${column} is not valid Unicode, which this database would not keep as it is`, {
    code: "VALUE_REFUSED",
    kind: "operator",
    hint: "correct the text where it comes from",
  });

/** What the column's affinity makes of a number, so that what is bound compares with what is stored. */
function asStored(bound: Bindable, kind: ColumnKind): Bindable {
  if (typeof bound === "bigint" && (kind === "real" || kind === "strict_real")) return Number(bound);
  const integers = kind === "number" || kind === "strict_integer";
  if (typeof bound === "number" && integers && Number.isInteger(bound) && Math.abs(bound) < 2 ** 63) return BigInt(bound);
  return bound;
}

/** Names and values of a row, however it came about. */
export interface NamedValues {
  readonly set: Pick<ColumnSet, "names">;
  readonly values: readonly Bindable[];
}

/** As values, for comparing and for the history. */
export function asRow(row: NamedValues): Row {
  const values: { [column: string]: Value } = {};
  for (const [at, name] of row.set.names.entries()) values[name] = boundValue(row.values[at] ?? null);
  return values;
}
