import type { Change } from "../../change/change.ts";
import { TomboloError } from "../../change/error.ts";
import type { TableShape } from "../../change/shape.ts";
import type { RowText, Value } from "../../change/value.ts";
import { compileKeyToPostgres } from "../../change/values/key.ts";
import { compileToPostgres } from "../../change/values/to-postgres.ts";
import type { TableRule } from "../target.ts";
import type { CapturedTable } from "./captured-tables.ts";
import { type Image, type ImageColumn, ImageReader, rowOf } from "./image.ts";

/** Column name to the text that the column's input function takes. */
export type TextRow = { [column: string]: string | null };

/** A change of a packet in this database's terms. */
export interface IncomingChange {
  readonly change: Change;
  readonly table: IncomingTable;
  /** What statements are made of: rows as columns and values. The key of an insert is left out: its row holds it. */
  readonly images: { readonly key: Image | null; readonly old: Image | null; readonly new: Image | null };
  /** Lets go of the images; they are read anew when someone wants them. */
  forget(): void;
  /** The same as objects, for whoever looks at a single row; made anew by every access. */
  readonly key: TextRow;
  readonly old: TextRow | null;
  readonly new: TextRow | null;
}

class Incoming implements IncomingChange {
  readonly change: Change;
  readonly table: IncomingTable;
  #images: IncomingChange["images"] | undefined;

  constructor(change: Change, table: IncomingTable, images: IncomingChange["images"]) {
    this.change = change;
    this.table = table;
    this.#images = images;
  }

  get images(): IncomingChange["images"] {
    return this.#images ?? this.table.images(this.change);
  }

  forget(): void {
    this.#images = undefined;
  }

  get key(): TextRow {
    return this.#row("key") ?? {};
  }

  get old(): TextRow | null {
    return this.#row("old");
  }

  get new(): TextRow | null {
    return this.#row("new");
  }

  #row(kind: "key" | "old" | "new"): TextRow | null {
    const image = this.#images === undefined || kind === "key" ? this.table.image(this.change[kind], kind) : this.#images[kind];
    return image === null ? null : rowOf(image);
  }
}

type Convert = (value: Value) => string | null;

/** A table of a packet, matched with the captured table here. */
export class IncomingTable {
  readonly table: CapturedTable;
  readonly shape: TableShape;
  readonly rule: TableRule;
  /** Column name here, and how to convert; undefined where the sender's text is taken as it is. */
  readonly #convert = new Map<string, Convert | undefined>();
  /** What the sender lets travel and this node does not: left out. */
  readonly #excluded: ReadonlySet<string>;
  readonly #images: ImageReader;

  constructor(table: CapturedTable, shape: TableShape, rule: TableRule) {
    this.table = table;
    this.shape = shape;
    this.rule = rule;
    this.#images = new ImageReader((name) => this.#column(name));
    const here = new Map(table.columns.map((column) => [column.name, column]));
    const lower = new Map(table.columns.map((column) => [column.name.toLowerCase(), column]));
    const alike = (a: string, b: string): boolean => a === b || (shape.engine === "sqlite" && a.toLowerCase() === b.toLowerCase());
    const stays = ({ name }: { name: string }): boolean => table.excluded.some((excluded) => alike(excluded, name));
    this.#excluded = new Set(shape.columns.filter(stays).map(({ name }) => name));
    for (const column of shape.columns) {
      const local = here.get(column.name) ?? (shape.engine === "sqlite" ? lower.get(column.name.toLowerCase()) : undefined);
      if (local === undefined) continue;
      const compile = table.key.includes(local.name) ? compileKeyToPostgres : compileToPostgres;
      this.#convert.set(column.name, shape.engine === "postgres" ? undefined : compile(column, shape.engine, local));
    }
  }

  /** Throws a TomboloError (`COLUMN_MISSING`, `VALUE_REFUSED`) when a value has no place here; the change is then parked. */
  incoming(change: Change): IncomingChange {
    return new Incoming(change, this, this.images(change));
  }

  images(change: Change): IncomingChange["images"] {
    return {
      key: change.op === "I" ? null : this.image(change.key, "key"),
      old: this.image(change.old, "old"),
      new: this.image(change.new, "new"),
    };
  }

  image(text: RowText | null, kind: "key" | "old" | "new"): Image | null {
    return text === null || text === "" ? null : this.#images.read(text, kind);
  }

  #column(name: string): ImageColumn | null {
    if (this.#excluded.has(name)) return null;
    if (!this.#convert.has(name)) throw this.#missing(name);
    return { name: this.shape.engine === "postgres" ? name : this.#localName(name), convert: this.#convert.get(name) };
  }

  #localName(name: string): string {
    const exact = this.table.columns.some((column) => column.name === name);
    if (exact) return name;
    return this.table.columns.find((column) => column.name.toLowerCase() === name.toLowerCase())?.name ?? name;
  }

  #missing(column: string): TomboloError {
    return new TomboloError(`table ${this.table.name} has no column ${column} here`, {
      code: "COLUMN_MISSING",
      kind: "operator",
      hint: "add the column here, or drop it at the sender; what waits then applies by itself",
    });
  }
}

/** The changes by table, in their order. */
export function byTable(changes: Iterable<IncomingChange>): Map<CapturedTable, IncomingChange[]> {
  const tables = new Map<CapturedTable, IncomingChange[]>();
  for (const incoming of changes) {
    const { table } = incoming.table;
    const own = tables.get(table);
    if (own === undefined) tables.set(table, [incoming]);
    else own.push(incoming);
  }
  return tables;
}
