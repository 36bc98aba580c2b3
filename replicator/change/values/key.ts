import type { Column, Engine } from "../shape.ts";
import type { Value } from "../value.ts";
import { type ColumnKind, columnKind } from "./affinity.ts";
import { type PostgresType, postgresType } from "./postgres-type.ts";
import { refuser } from "./refuse.ts";
import { type Bindable, becomesInteger } from "./storage.ts";
import { compileToPostgres } from "./to-postgres.ts";
import { bindable, compileToSqlite } from "./to-sqlite.ts";

/**
 * `compileToPostgres` for a column of a key. A key must come back from Postgres as it is in SQLite, or the parent's changes would not
 * find the row they mean and make a second one: so what Postgres prints in another way (`007`, an upper-case uuid, a time without its
 * zone) is refused here. Types whose text is passed on unread (inet, arrays, intervals, types of extensions) cannot be checked.
 *
 * Throws `VALUE_REFUSED` (operator).
 */
export function compileKeyToPostgres(from: Column, fromEngine: Engine, to: Column): (value: Value) => string | null {
  const convert = compileToPostgres(from, fromEngine, to);
  if (fromEngine === "postgres") return convert;
  const refuse = refuser(from, fromEngine, to, "postgres");
  const type = postgresType(to);
  const isPrinted = compileIsPrinted(type);
  // a shape does not tell STRICT tables; it makes a difference for ANY only, which in ordinary ones is rare
  const strict = /^any$/i.test(from.type);
  const convertBack = compileToSqlite(to, "postgres", from, strict);
  const kind = columnKind(from.type, strict);
  // a whole number that Postgres prints with the same digits comes back as it is
  const wholes = type.family === "integer" && !type.array && (kind === "number" || kind === "strict_integer");
  return (value) => {
    const text = convert(value);
    if (text === null) return null;
    if (wholes && typeof value === "object" && value !== null && "i" in value && value.i === text) return text;
    const comesBack = sameBound(afterAffinity(convertBack(text), kind), bindable(value));
    return comesBack && isPrinted(text) ? text : refuse("it is part of a key, and Postgres would write it in another way");
  };
}

/** A bound number as the column stores it. */
function afterAffinity(bound: Bindable, kind: ColumnKind): Bindable {
  if (kind === "real" && typeof bound === "bigint") return Number(bound);
  return kind === "number" && typeof bound === "number" && becomesInteger(bound) ? BigInt(bound) : bound;
}

const sameBound = (a: Bindable, b: Bindable): boolean => (Buffer.isBuffer(a) && Buffer.isBuffer(b) ? a.equals(b) : Object.is(a, b));

const DATE_TIMES = new Set(["time", "timetz", "timestamp", "timestamptz"]);
const TIME = /(?<!\d)(?:[01]\d|2[0-3]):\d{2}:\d{2}(?:\.\d{0,5}[1-9])?(?![\d.])/;

/** For types whose reading leaves some other spellings as they are. */
function compileIsPrinted(type: PostgresType): (text: string) => boolean {
  const [length] = type.modifiers;
  if (type.base === "bpchar" && length !== undefined) return (text) => [...text].length === length;
  if (type.base === "money") return (text) => /^-?\$(?:\d{1,3}(?:,\d{3})*)\.\d{2}$/.test(text);
  if (!DATE_TIMES.has(type.base)) return () => true;
  return (text) => {
    if (/^-?infinity$/.test(text)) return true;
    // a day of 24 hours is printed for a time of day only
    if (type.base.startsWith("time") && !type.base.startsWith("timestamp") && text.startsWith("24:00:00")) return true;
    return !/[TZz]/.test(text) && TIME.test(text) && (type.base !== "timestamptz" || /\+00(?: BC)?$/.test(text));
  };
}
