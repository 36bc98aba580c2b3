/** Where a verb writes: the answer to standard output, everything else to standard error. */
export interface Output {
  /** A line of the answer. */
  line(text?: string): void;
  /** The answer as JSON, when `--json` was asked for. Bigints become strings. */
  json(value: unknown): void;
  /** Progress, questions and problems. */
  note(text: string): void;
}

/** @param streams are injected for tests; each gets whole lines. */
export function createOutput(streams: { stdout: (text: string) => void; stderr: (text: string) => void }): Output {
  return {
    line: (text = "") => streams.stdout(`${text}\n`),
    json: (value) => streams.stdout(`${JSON.stringify(value, bigintText, 2)}\n`),
    note: (text) => streams.stderr(`${text}\n`),
  };
}

const bigintText = (_key: string, value: unknown): unknown => (typeof value === "bigint" ? value.toString() : value);

/** Columns as wide as their widest cell, two spaces between them. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  return all.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}

/** `1 conflict`, `2 conflicts`. */
export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

export function bytes(count: number): string {
  const power = count < 1024 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(count) / 10));
  const scaled = count / 1024 ** power;
  return `${power === 0 || scaled >= 100 ? Math.round(scaled) : scaled.toFixed(1)} ${UNITS[power]}`;
}

/** `0 s`, `1.3 s`, `5 min`, `3 h`, `2 d`. */
export function duration(seconds: number): string {
  if (seconds === 0) return "0 s";
  if (seconds < 120) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} d`;
}
