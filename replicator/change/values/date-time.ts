import type { PostgresType } from "./postgres-type.ts";

/**
 * Dates and times that come from SQLite. Postgres reads far more than it should for a copy: `now`, `20240101`, month
 * names, a zone that `timestamp` then ignores, fractions that it rounds. Only the ISO forms pass, with what they mean made explicit.
 */
const DATE = String.raw`\d{4,7}-\d{2}-\d{2}`;
const TIME = String.raw`\d{2}:\d{2}(?::\d{2}(?:\.(?<fraction>\d+))?)?`;
const ZONE = String.raw`(?<zone> ?(?:[zZ]|[+-]\d{2}(?::?\d{2}(?::?\d{2})?)?))?`;
const ERA = `(?<era> BC)?`;

const FORMS: { readonly [type: string]: RegExp } = {
  date: new RegExp(`^${DATE}${ERA}$`),
  time: new RegExp(`^${TIME}$`),
  timetz: new RegExp(`^${TIME}${ZONE}$`),
  timestamp: new RegExp(`^${DATE}(?:[ T]${TIME})?${ERA}$`),
  timestamptz: new RegExp(`^${DATE}(?:[ T]${TIME}${ZONE})?${ERA}$`),
};
/** As Postgres prints them: nothing to look at more closely. */
const PRINTED: { readonly [type: string]: RegExp } = {
  date: /^\d{4}-\d{2}-\d{2}$/,
  timestamp: /^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}(?:\.\d{1,6})?$/,
  timestamptz: /^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}(?:\.\d{1,6})?[+-]\d{2}$/,
};
const INFINITE = new Set(["infinity", "-infinity"]);
const UNBOUNDED = new Set(["date", "timestamp", "timestamptz"]);
/** Without a zone it is UTC: what CURRENT_TIMESTAMP and datetime() write in SQLite. */
const ZONED = new Set(["timetz", "timestamptz"]);

/** Postgres' resolution. */
const MICROSECONDS = 6;

export const isDateTime = (base: string): boolean => base in FORMS;

/** Compiles the reading of a date or time; undefined where Postgres would round it, or read it by a rule of its own. */
export function compileDateTime(type: PostgresType): (text: string) => string | undefined {
  const form = FORMS[type.base];
  if (form === undefined) throw new TypeError(`${type.base} is no date or time`);
  const digits = type.modifiers[0] ?? MICROSECONDS;
  const printed = digits === MICROSECONDS ? PRINTED[type.base] : undefined;
  return (text) => {
    if (printed?.test(text)) return text;
    if (UNBOUNDED.has(type.base) && INFINITE.has(text)) return text;
    const groups = form.exec(text)?.groups ?? null;
    if (groups === null && !form.test(text)) return undefined;
    if (!fits(groups?.fraction, digits)) return undefined;
    if (!ZONED.has(type.base) || groups?.zone !== undefined) return text;
    const era = groups?.era ?? "";
    const local = text.slice(0, text.length - era.length);
    return `${local.includes(":") ? local : `${local} 00:00:00`}+00${era}`;
  };
}

/** True when no digit but zeros would be rounded away. */
function fits(fraction: string | undefined, digits: number): boolean {
  return fraction === undefined || fraction.length <= digits || /^0*$/.test(fraction.slice(digits));
}

/** Words that dates and times inside arrays, ranges and multiranges may hold; anything else may be `now` or a month. */
const WORDS = /\b(?:infinity|BC|NULL|empty)\b|(?<=\d)[TZz]/gi;

/** For arrays, ranges and multiranges of dates and times: no word that means the moment of reading, nothing rounded. */
export function holdsPlainDates(text: string): boolean {
  return !/[a-z]/i.test(text.replace(WORDS, "")) && !/\.\d{6}0*[1-9]/.test(text);
}
