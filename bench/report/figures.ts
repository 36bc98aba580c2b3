/** What is measured, in which unit, and which way is better. */
export interface Figure {
  readonly name: string;
  readonly title: string;
  readonly better: "higher" | "lower";
  readonly print: (value: number) => string;
}

const whole = (value: number): string => Math.round(value).toLocaleString("en");
const fixed = (digits: number, unit: string) => (value: number) => `${value.toFixed(digits)}${unit}`;
const megabytes = (value: number): string => `${Math.round(value / 1024 / 1024)} MiB`;

const figure = (name: string, title: string, better: Figure["better"], print: Figure["print"]): Figure => ({ name, title, better, print });

export const FIGURES: readonly Figure[] = [
  figure("rows_per_second", "rows/s until both are equal", "higher", whole),
  figure("written_per_second", "rows/s of the writer meanwhile", "higher", whole),
  figure("writers_tps", "writers' transactions/s", "higher", whole),
  figure("unflushed_tps", "the same, commits not waiting for the disk", "higher", whole),
  figure("drained_ms", "equal after the last write", "lower", fixed(0, " ms")),
  figure("lag_p50_ms", "lag p50", "lower", fixed(1, " ms")),
  figure("lag_p99_ms", "lag p99", "lower", fixed(1, " ms")),
  figure("floor_p50_ms", "floor of the sampling, p50", "lower", fixed(1, " ms")),
  figure("floor_p99_ms", "floor of the sampling, p99", "lower", fixed(1, " ms")),
  figure("bulk_update_seconds", "bulk update", "lower", fixed(2, " s")),
  figure("drain_seconds", "time to drain", "lower", fixed(1, " s")),
  figure("peak_rss_bytes", "replicator's peak memory", "lower", megabytes),
  figure("cpu_seconds", "replicator's processor time", "lower", fixed(2, " s")),
  figure("backends_cpu_seconds", "its server processes' time", "lower", fixed(2, " s")),
  figure("idle_cpu_percent", "replicator, of one core", "lower", fixed(2, " %")),
  figure("idle_backends_cpu_percent", "its server processes", "lower", fixed(2, " %")),
  figure("idle_written_bytes", "written to disk", "lower", (value) => `${whole(value)} B`),
];

export function figureNamed(name: string): Figure {
  const found = FIGURES.find((candidate) => candidate.name === name);
  if (found === undefined) throw new Error(`no figure is called ${name}`);
  return found;
}
