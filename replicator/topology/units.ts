/** Durations, sizes and addresses as the topology file writes them. Each pattern is the whole grammar, and the JSON Schema's too. */

/** A whole number and a unit, nothing between: `50ms 30s 5m 12h 7d`. */
export const DURATION = /^(0|[1-9][0-9]{0,8})(ms|s|m|h|d)$/;
/** A whole number and a binary unit, nothing between: `512KiB 4MiB 10GiB`. */
export const SIZE = /^(0|[1-9][0-9]{0,8})(B|KiB|MiB|GiB|TiB)$/;
/** `host:port`; an IPv6 address in brackets: `127.0.0.1:9187 localhost:9187 [::1]:9187`. */
export const LISTEN = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?):(0|[1-9][0-9]{0,4})$/;

const MILLISECONDS: { readonly [unit: string]: number } = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const BYTES: { readonly [unit: string]: number } = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 };

/** Milliseconds; null when the text is no duration, or one beyond what a double counts exactly. */
export const durationMs = (text: string): number | null => scaled(DURATION.exec(text), MILLISECONDS);

/** Bytes; null when the text is no size, or one beyond what a double counts exactly. */
export const sizeBytes = (text: string): number | null => scaled(SIZE.exec(text), BYTES);

/** Host (an IPv6 address without its brackets) and port; null when the text is no address. Port 0 is "any free one". */
export function listenAddress(text: string): { host: string; port: number } | null {
  const match = LISTEN.exec(text);
  const port = Number(match?.[3]);
  if (match?.[1] === undefined || port > 65_535) return null;
  return { host: match[1].replace(/^\[(.*)\]$/, "$1"), port };
}

function scaled(match: RegExpExecArray | null, units: { readonly [unit: string]: number }): number | null {
  const factor = units[match?.[2] ?? ""];
  const amount = Number(match?.[1]) * (factor ?? Number.NaN);
  return Number.isSafeInteger(amount) ? amount : null;
}
