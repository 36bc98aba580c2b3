import type { Change } from "../../change/change.ts";
import { TomboloError } from "../../change/error.ts";
import type { TableName } from "../../change/names.ts";
import { RowLayout } from "../../change/row-layout.ts";
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

/** How rows that were sent in one layout are read. */
interface Reading {
  readonly sent: RowLayout;
  readonly set: ColumnSet;
  /** Where the values are among those that were sent; null where all are taken. */
  readonly places: readonly number[] | null;
  /** Where the key is among the values, in its order here; null where not all of it is there. */
  readonly key: readonly number[] | null;
}

interface ReadRow extends LocalRow {
  readonly reading: Reading;
}

/** A table whose updates touch ever other columns shall not fill the memory. */
const MOST_LAYOUTS = 256;

/** A table of a packet, matched with the captured table here. */
export class IncomingTable {
  readonly table: CapturedTable;
  readonly shape: TableShape;
  readonly rule: TableRule;
  /** Why no change of the table can be applied now. */
  readonly misfit: TomboloError | null;
  readonly #targets = new Map<string, ColumnTarget>();
  readonly #sets = new Map<string, ColumnSet>();
  #readings = new Map<string, Reading>();
  /** The one that fitted last, by kind of image. */
  readonly #last: { key?: Reading; old?: Reading; new?: Reading } = {};
  /** The sender's key are the same columns. */
  readonly #sameKey: boolean;
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
    const sent = shape.key.map((name) => this.#targets.get(name)?.name);
    this.#sameKey = sent.length === table.key.length && table.key.every((name) => sent.includes(name));
  }

  get name(): TableName {
    return this.table.name;
  }

  /** Throws a TomboloError (`TABLE_MISSING`, `COLUMN_MISSING`, `VALUE_REFUSED`) when a value has no place here; the change is then parked. */
  incoming(change: Change): IncomingChange {
    if (this.misfit !== null) throw this.misfit;
    const now = this.#row(change.new, "new");
    const old = this.#row(change.old, "old");
    return { change, table: this, key: this.#key(change, now), old, new: now };
  }

  /** In the order of the key here. An inserted row holds its key: it need not be read twice. */
  #key(change: Change, inserted: ReadRow | null): readonly Bindable[] {
    const holdsKey = this.#sameKey && change.op === "I" && inserted !== null && inserted.reading.key !== null;
    const row = holdsKey ? inserted : this.#row(change.key, "key");
    const places = row?.reading.key ?? null;
    const { key } = this.table;
    if (row === null || places === null || (!holdsKey && row.values.length !== key.length)) throw this.#missing(key.join(", "));
    if (!holdsKey && key.length === 1) return row.values;
    return places.map((place) => row.values[place] ?? null);
  }

  #row(text: RowText | null, kind: "key" | "old" | "new"): ReadRow | null {
    if (text === null || text === "") return null;
    const last = this.#last[kind];
    const values = last?.sent.values(text);
    if (last !== undefined && values != null) return readRow(last, values);
    const row = parseRow(text);
    const names = Object.keys(row);
    const reading = this.#reading(names);
    this.#last[kind] = reading;
    return readRow(
      reading,
      names.map((name) => row[name] as Value),
    );
  }

  #reading(sent: readonly string[]): Reading {
    const id = JSON.stringify(sent);
    let reading = this.#readings.get(id);
    if (reading === undefined) {
      const names = sent.filter((name) => !this.#excluded.has(name));
      const set = this.#setOf(names);
      const key = this.table.key.map((name) => set.names.indexOf(name));
      reading = {
        sent: new RowLayout(sent),
        set,
        places: names.length === sent.length ? null : names.map((name) => sent.indexOf(name)),
        key: key.includes(-1) ? null : key,
      };
      if (this.#readings.size >= MOST_LAYOUTS) this.#readings = new Map();
      this.#readings.set(id, reading);
    }
    return reading;
  }

  /** The same object for the same columns: one statement serves them all. */
  #setOf(names: readonly string[]): ColumnSet {
    const id = JSON.stringify(names);
    return this.#sets.get(id) ?? this.#newSet(id, names);
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

/** Takes `sent` over: where all of it is taken, the values stand in the very same list, as a list less for each image is a tenth less for the collector. */
function readRow(reading: Reading, sent: Value[]): ReadRow {
  const { set, places } = reading;
  const { convert } = set;
  const values: Bindable[] = places === null ? (sent as Bindable[]) : new Array<Bindable>(convert.length);
  for (let at = 0; at < convert.length; at++) {
    values[at] = (convert[at] as ColumnTarget["convert"])(sent[places === null ? at : (places[at] as number)] as Value);
  }
  return { set, values, reading };
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
    if (typeof bound === "string" && pair.decoded !== true && !bound.isWellFormed()) throw notText(column.name);
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
