/** What is measured, in which unit, and which way is better. */
export interface Figure {
  readonly name: string;
  readonly title: string;
  readonly better: "higher" | "lower";
  readonly print: (value: number) => string;
  /** Over the column, for what a result cost: those stand side by side. */
  readonly column?: string;
}

const whole = (value: number): string => Math.round(value).toLocaleString("en");
const fixed = (digits: number, unit: string) => (value: number) => `${value.toFixed(digits)}${unit}`;
const bytes = (value: number): string => `${value < 100 ? value.toFixed(1) : whole(value)} B`;
const megabytes = (value: number): string => `${Math.round(value / 1024 / 1024)} MiB`;

const figure = (name: string, title: string, better: Figure["better"], print: Figure["print"]): Figure => ({ name, title, better, print });
const cost = (name: string, title: string, column: string, print: Figure["print"]): Figure => ({
  ...figure(name, title, "lower", print),
  column,
});

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
  figure("exchange_p50_ms", "until each end has the other's, p50", "lower", fixed(1, " ms")),
  figure("exchange_p99_ms", "p99", "lower", fixed(1, " ms")),
  figure("commit_p50_ms", "a writer's transaction, p50", "lower", fixed(1, " ms")),
  figure("commit_p99_ms", "a writer's transaction, p99", "lower", fixed(1, " ms")),
  figure("commit_max_ms", "a writer's transaction, the longest", "lower", fixed(1, " ms")),
  figure("alone_p50_ms", "a transaction alone, p50", "lower", fixed(1, " ms")),
  figure("alone_p99_ms", "p99", "lower", fixed(1, " ms")),
  figure("reconcile_p50_ms", "beside a reconcile, p50", "lower", fixed(1, " ms")),
  figure("reconcile_p99_ms", "beside a reconcile, p99", "lower", fixed(1, " ms")),
  figure("full_sync_p50_ms", "beside a full sync, p50", "lower", fixed(1, " ms")),
  figure("full_sync_p99_ms", "beside a full sync, p99", "lower", fixed(1, " ms")),
  figure("reconcile_p99_to_alone", "p99 beside a reconcile to alone", "lower", fixed(2, "")),
  figure("full_sync_p99_to_alone", "p99 beside a full sync to alone", "lower", fixed(2, "")),
  figure("paced_reconcile_p99_to_alone", "p99 beside a reconcile with --pace 10 to alone", "lower", fixed(2, "")),
  figure("paced_full_sync_p99_to_alone", "p99 beside a full sync with --pace 10 to alone", "lower", fixed(2, "")),
  figure("alone_p99_spread", "p99 alone, the worst stretch to the best", "lower", fixed(2, "")),
  figure("reconcile_runs", "reconciles meanwhile", "higher", whole),
  figure("full_sync_runs", "full syncs meanwhile", "higher", whole),
  figure("paced_reconcile_runs", "reconciles with --pace 10 meanwhile", "higher", whole),
  figure("paced_full_sync_runs", "full syncs with --pace 10 meanwhile", "higher", whole),
  figure("fast_per_second", "transactions/s beside a reconcile, at the higher rate", "higher", whole),
  figure("fast_reconcile_runs", "reconciles meanwhile", "higher", whole),
  figure("false_reports", "rows that they took for different", "lower", whole),
  figure("log_peak_bytes", "the change log at its largest", "lower", megabytes),
  figure("log_late_to_early", "the log's peak late to before", "lower", fixed(2, "")),
  figure("bulk_update_seconds", "bulk update", "lower", fixed(2, " s")),
  figure("drain_seconds", "time to drain", "lower", fixed(1, " s")),
  figure("compared_per_second", "rows/s compared, when all are equal", "higher", whole),
  figure("verified_seconds", "the same, and every row verified", "lower", fixed(1, " s")),
  figure("found_seconds", "one row that differs found", "lower", fixed(1, " s")),
  figure("repaired_seconds", "and repaired", "lower", fixed(1, " s")),
  figure("one_equal_seconds", "one node, until equal", "lower", fixed(2, " s")),
  figure("all_equal_seconds", "all nodes, until all are equal", "lower", fixed(2, " s")),
  figure("deliveries_per_second", "rows/s delivered to all nodes together", "higher", whole),
  figure("first_node_cpu_seconds", "processor time with one node, servers too", "lower", fixed(2, " s")),
  figure("extra_node_cpu_seconds", "the same per further node", "lower", fixed(3, " s")),
  figure("extra_node_to_first", "a further node to the first", "lower", fixed(2, "")),
  figure("log_reads_per_change", "times the hub reads a change", "lower", fixed(2, "")),
  figure("idle_cpu_percent", "replicator, of one core", "lower", fixed(2, " %")),
  figure("idle_backends_cpu_percent", "its server processes", "lower", fixed(2, " %")),
  figure("idle_written_bytes", "written to disk", "lower", (value) => `${whole(value)} B`),
  cost("peak_rss_bytes", "replicator's peak memory", "memory", megabytes),
  cost("cpu_seconds", "replicator's processor time", "processor", fixed(2, " s")),
  cost("backends_cpu_seconds", "its server processes' time", "servers", fixed(2, " s")),
  cost("wire_bytes_per_change", "on the wire, per change", "wire/change", bytes),
  cost("log_bytes_per_change", "growth of the change log, per change", "log/change", bytes),
  cost("wal_bytes_per_change", "write-ahead log, per change", "WAL/change", bytes),
];

export function figureNamed(name: string): Figure {
  const found = FIGURES.find((candidate) => candidate.name === name);
  if (found === undefined) throw new Error(`no figure is called ${name}`);
  return found;
}
