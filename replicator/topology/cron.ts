import { Cron } from "croner";

/** True for five or six fields, or `@daily` and its like, that come due at least once more; a fixed date is no schedule. */
export function isReachableCron(text: string): boolean {
  if (!/^(@[a-z]+|\S+( +\S+){4,5})$/.test(text)) return false;
  try {
    return new Cron(text, { paused: true, timezone: "UTC" }).nextRun() !== null;
  } catch {
    return false;
  }
}

/** True for `UTC` and the names of the IANA list that this Node knows. */
export function isKnownTimeZone(text: string): boolean {
  if (!/^[A-Za-z]/.test(text)) return false; // an offset does not say when summer time is
  try {
    new Intl.DateTimeFormat("en", { timeZone: text });
    return true;
  } catch {
    return false;
  }
}

/** So many of the next dates are looked at: a week of hours, a year of weeks. */
const LOOKED_AT = 60;

/** The longest time between two dates that a schedule comes due at, among the next ones, ms; null where it is due once more at most. */
export function longestInterval({ cron, timezone }: { readonly cron: string; readonly timezone: string }): number | null {
  const dates = new Cron(cron, { paused: true, timezone }).nextRuns(LOOKED_AT);
  const gaps = dates.slice(1).map((date, at) => date.getTime() - (dates[at] as Date).getTime());
  return gaps.length === 0 ? null : Math.max(...gaps);
}
