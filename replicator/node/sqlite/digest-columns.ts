import { digestOf } from "../../change/row-digest.ts";
import type { Column } from "../../change/shape.ts";
import { exactText, exactValue } from "../../change/values/exact-text.ts";
import { postgresType } from "../../change/values/postgres-type.ts";
import { compileToSqlite } from "../../change/values/to-sqlite.ts";
import type { DigestTable } from "../digest.ts";
import { compileDigestText, NO_FORM } from "../digest-text.ts";
import type { CapturedTable } from "./captured-tables.ts";
import { type Bindable, boundValue, stored } from "./rows.ts";

/** How the values of one column are told. */
interface ColumnText {
  readonly name: string;
  text(value: Bindable): string | null;
  /** What is stored as this text. */
  value(text: string | null): Bindable;
}

/** The columns of a table as digests tell them; all that depends on the columns alone is worked out once. */
export class DigestColumns {
  readonly columns: readonly ColumnText[];
  /** Of the key, as places among the columns. */
  readonly key: readonly number[];

  constructor(table: CapturedTable, wanted: DigestTable, strict: boolean) {
    this.columns = wanted.columns.map(({ name, like }) => {
      const column = table.columns.find((candidate) => candidate.name === name);
      if (column === undefined) throw new Error(`${table.name} has no column ${name}`);
      return like === null ? exact(name) : asInPostgres(column, like, { strict, isKey: wanted.key.includes(name) });
    });
    this.key = wanted.key.map((name) => wanted.columns.findIndex((column) => column.name === name));
  }

  texts(row: readonly Bindable[]): (string | null)[] {
    return row.map((value, at) => (this.columns[at] as ColumnText).text(value));
  }

  digest(row: readonly Bindable[]): string {
    return digestOf(this.texts(row));
  }

  keyTexts(row: readonly Bindable[]): (string | null)[] {
    return this.key.map((place) => (this.columns[place] as ColumnText).text(row[place] ?? null));
  }

  /** What a key is stored as. */
  keyValues(text: string): Bindable[] {
    const texts = JSON.parse(text) as (string | null)[];
    return this.key.map((place, at) => (this.columns[place] as ColumnText).value(texts[at] ?? null));
  }
}

/** All of it has a form at the other node. */
export const isTellable = (texts: readonly (string | null)[]): boolean => !texts.some((text) => text?.startsWith(NO_FORM));

const exact = (name: string): ColumnText => ({
  name,
  text: (value) => exactText(boundValue(value)),
  value: (text) => stored(exactValue(text)),
});

const WHOLE = new Set(["int2", "int4", "int8"]);
const AS_WRITTEN = new Set(["text", "varchar", "json", "jsonb"]);

const PLAIN = /^(?:0|-?[1-9]\d*|-?0(?=\.))(?:\.\d*[1-9]\d*|\.0+)?$/;

/** Whether a text is what a numeric of this precision and scale prints for it: digits before the point that fit, and as many behind it as it has. */
function plainNumeric([precision, scale = 0]: readonly number[]): ((text: string) => boolean) | null {
  if (precision === undefined || scale < 0 || scale > precision) return null;
  return (text) => {
    const point = text.indexOf(".");
    const digits = point < 0 ? text.length : point;
    const fraction = point < 0 ? 0 : text.length - point - 1;
    return fraction === scale && digits <= precision - scale && PLAIN.test(text) && !NEGATIVE_ZERO.test(text);
  };
}

const NEGATIVE_ZERO = /^-0\.?0*$/;

function asInPostgres(column: Column, like: Column, { strict, isKey }: { readonly strict: boolean; readonly isKey: boolean }): ColumnText {
  const { base, modifiers } = postgresType(like);
  const convert = compileDigestText(column, like, isKey);
  const convertBack = compileToSqlite(like, "postgres", column, strict);
  // nearly every value is one of these, and needs no look
  const plain = base === "numeric" && !isKey ? plainNumeric(modifiers) : null;
  const whole = WHOLE.has(base);
  const asWritten = AS_WRITTEN.has(base) && modifiers.length === 0 && !isKey;
  return {
    name: column.name,
    text(value) {
      if (value === null) return null;
      if (whole && typeof value === "bigint") return value.toString();
      if (asWritten && typeof value === "string") return value;
      if (plain !== null && typeof value === "string" && plain(value)) return value;
      return convert(boundValue(value));
    },
    value: (text) => (text?.startsWith(NO_FORM) ? stored(exactValue(text.slice(1))) : convertBack(text)),
  };
}
