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
