import { TomboloError } from "../change/error.ts";
import type { Column, TableShape } from "../change/shape.ts";
import { parseRow, type RowText, type Value } from "../change/value.ts";
import { exactText } from "../change/values/exact-text.ts";
import { compileKeyToPostgres } from "../change/values/key.ts";
import { compileToPostgres } from "../change/values/to-postgres.ts";
import type { DigestTable, KeyText } from "./digest.ts";

/** No text of Postgres holds it: begins the text of a value that has no form there, so that it equals none. */
export const NO_FORM = "\u0000";

/** The canonical text of a SQLite column's value: as the Postgres column prints it, or, where the other node is a SQLite, exactly as it is. */
export function compileDigestText(column: Column, like: Column | null, isKey: boolean): (value: Value) => string | null {
  if (like === null) return exactText;
  const convert = (isKey ? compileKeyToPostgres : compileToPostgres)(column, "sqlite", like);
  return (value) => {
    try {
      return convert(value);
    } catch (error) {
      if (error instanceof TomboloError && error.code === "VALUE_REFUSED") return NO_FORM + exactText(value);
      throw error;
    }
  };
}

/** Whether a key can be told to both nodes. A row of which it cannot is known to one of them only, and no change can be made of it for the other. */
export const isTellableKey = (key: KeyText): boolean =>
  !(JSON.parse(key) as (string | null)[]).some((text) => text?.startsWith(NO_FORM) === true);

/** Reads the key of a change as digests tell keys. */
export function keyReader(shape: TableShape, wanted: DigestTable): (key: RowText) => KeyText {
  const texts = wanted.key.map((name): ((value: Value) => string | null) => {
    if (shape.engine === "postgres") return (value) => value as string | null;
    const column = shape.columns.find((candidate) => candidate.name === name);
    const like = wanted.columns.find((candidate) => candidate.name === name)?.like ?? null;
    return column === undefined ? () => null : compileDigestText(column, like, true);
  });
  return (text) => {
    const row = parseRow(text);
    return JSON.stringify(wanted.key.map((name, at) => texts[at]?.(row[name] ?? null) ?? null));
  };
}
