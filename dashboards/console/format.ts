/** Numbers, sizes and times as people read them. */

const count = new Intl.NumberFormat("en");
export const formatCount = (value: number | string | null | undefined): string =>
  value === null || value === undefined ? "–" : count.format(typeof value === "string" ? BigInt(value) : value);

const UNITS = ["B", "kB", "MB", "GB", "TB"];
export function formatBytes(bytes: number | null | undefined): string {
  if (bytes === null || bytes === undefined) return "–";
  let [value, unit] = [bytes, 0];
  while (value >= 1000 && unit < UNITS.length - 1) [value, unit] = [value / 1000, unit + 1];
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

/** As `formatDuration`, but to the millisecond below a second: for what is measured. */
export const formatLag = (seconds: number): string =>
  seconds > 0 && seconds < 1 ? `${Math.round(seconds * 1000)} ms` : formatDuration(seconds);

/** `42 s`, `3 min`, `2 h 5 min`, `4 d`. */
export function formatDuration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 1) return seconds === 0 ? "0 s" : "< 1 s";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5_400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) {
    const minutes = Math.round(seconds / 60);
    return minutes % 60 === 0 ? `${minutes / 60} h` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  }
  return `${Math.round(seconds / 86_400)} d`;
}

export const formatMoment = (moment: string): string =>
  new Date(moment).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "medium" });

/** `1 conflict`, `3 conflicts`. */
export const plural = (value: number, one: string, many = `${one}s`): string => `${formatCount(value)} ${value === 1 ? one : many}`;
