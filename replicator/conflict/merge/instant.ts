/** A point in time, exactly. */
export interface Instant {
  /** Since 1970, UTC; an infinity for Postgres' `infinity` and `-infinity`. */
  readonly seconds: number;
  /** The digits of the fraction without trailing zeros: sorts as text. */
  readonly fraction: string;
}

const ISO =
  /^(\d{4,7})-(\d\d)-(\d\d)(?:[ T](\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(?: ?(?:[zZ]|([+-])(\d\d)(?::?(\d\d)(?::?(\d\d))?)?))?)?( BC)?$/;

/** Reads a date or timestamp in ISO form, as Postgres prints it and SQLite's functions write it; without a zone it is UTC. Undefined for any other text. */
export function readInstant(text: string): Instant | undefined {
  if (text === "infinity") return { seconds: Infinity, fraction: "" };
  if (text === "-infinity") return { seconds: -Infinity, fraction: "" };
  const match = ISO.exec(text);
  if (match === null) return undefined;
  const part = (at: number): number => Number(match[at] ?? 0);
  const [month, day, hour, minute, second] = [part(2), part(3), part(4), part(5), part(6)];
  if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 24 || minute > 59 || second > 60) return undefined;
  // 1 BC is the year 0
  const days = daysSince1970(match[12] === undefined ? part(1) : 1 - part(1), month, day);
  const offset = (match[8] === "-" ? -1 : 1) * (part(9) * 3600 + part(10) * 60 + part(11));
  return { seconds: days * 86_400 + hour * 3600 + minute * 60 + second - offset, fraction: (match[7] ?? "").replace(/0+$/, "") };
}

/** In the Gregorian calendar; years start in March, so that the leap day is the last. */
function daysSince1970(year: number, month: number, day: number): number {
  const shifted = month > 2 ? year : year - 1;
  const era = Math.floor(shifted / 400);
  const ofEra = shifted - era * 400;
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1;
  return era * 146_097 + ofEra * 365 + Math.floor(ofEra / 4) - Math.floor(ofEra / 100) + dayOfYear - 719_468;
}
