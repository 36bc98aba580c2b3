import { type Dashboard, SCHEDULE } from "./dashboard.ts";
import { series, stat, table } from "./panel.ts";

export const runs: Dashboard = {
  name: "runs",
  title: "Tombolo full sync and reconcile",
  description: "Full syncs and comparisons: what runs, how it ended, what differs.",
  variables: [SCHEDULE],
  sections: [
    {
      title: null,
      panels: [
        stat({
          title: "Full syncs running",
          description:
            "`tombolo status` shows the phase, the rows and who runs it. One that stays for long without copying rows has lost its process: `tombolo full-sync CHILD --resume`.",
          ...{ unit: "short", width: 6, expr: "sum(tombolo_full_syncs_running)" },
        }),
        stat(
          {
            title: "Full syncs failed, in the time shown",
            description:
              "Failed or interrupted. The target is as it was before; `tombolo full-sync CHILD --resume` goes on where it ended.",
            ...{ unit: "short", width: 6 },
            expr: 'sum(increase(tombolo_full_sync_runs_total{outcome=~"failed|interrupted"}[$__range])) or on() vector(0)',
          },
          { bad: 1 },
        ),
        stat(
          {
            title: "Rows that differ",
            description: "Left by the last scheduled reconciles: `tombolo reconcile` names some, `--repair parent` mends them.",
            ...{ unit: "short", width: 6, expr: "sum(tombolo_reconcile_rows_differing) or on() vector(0)" },
          },
          { bad: 1 },
        ),
        stat(
          {
            title: "Reconciles not well, in the time shown",
            description:
              "Left drift, stopped before a repair that would delete too much, or failed. The log and the run's record say which.",
            ...{ unit: "short", width: 6 },
            expr: 'sum(increase(tombolo_reconcile_runs_total{outcome=~"drift|stopped|failed", name=~"$schedule"}[$__range])) or on() vector(0)',
          },
          { warn: 1 },
        ),
      ],
    },
    {
      title: "Full sync",
      panels: [
        series({
          title: "Rows copied",
          description:
            "Per second, by the node that is filled. Stands still while tables are handed over; see the target's disk where it is slow.",
          ...{ unit: "cps", width: 8, legend: "{{node}} {{direction}}" },
          expr: "sum by (node, direction) (rate(tombolo_full_sync_rows_total[$__rate_interval]))",
        }),
        series(
          {
            title: "Full syncs ended",
            description: "By node and outcome. interrupted: its process is gone, and it can be resumed.",
            ...{ unit: "short", width: 8, legend: "{{node}} {{outcome}}" },
            expr: "sum by (node, outcome) (increase(tombolo_full_sync_runs_total[$__rate_interval]))",
          },
          "bars",
        ),
        series(
          {
            title: "Rows different afterwards",
            description: "Found by `full-sync --verify`. `tombolo reconcile --link PARENT/CHILD` names some of them.",
            ...{ unit: "short", width: 8, legend: "{{node}}" },
            expr: "sum by (node) (increase(tombolo_full_sync_rows_differing_total[$__rate_interval]))",
          },
          "bars",
        ),
      ],
    },
    {
      title: "Reconcile",
      panels: [
        series(
          {
            title: "Runs by outcome",
            description:
              "clean: all rows equal. repaired: they are now. drift: differences are left. stopped: a repair would delete too much. failed: a table could not be compared.",
            ...{ unit: "short", width: 12, legend: "{{name}} {{outcome}}" },
            expr: 'sum by (name, outcome) (increase(tombolo_reconcile_runs_total{name=~"$schedule"}[$__rate_interval])) or on() vector(0)',
          },
          "bars",
        ),
        table(
          {
            title: "Last ended with all rows equal",
            description:
              "By schedule. Before 1971: not since this process began. Where it is older than the schedule's interval, see its runs and the log.",
            ...{ unit: "dateTimeFromNow", width: 6 },
            expr: '(tombolo_reconcile_last_success_timestamp_seconds{name=~"$schedule"} or on() vector(0)) * 1000',
          },
          { name: "schedule", Value: "last success" },
        ),
        table(
          {
            title: "How often it is due",
            description: "The longest time between two dates of the schedule; the alert TomboloReconcileStale comes after twice that.",
            ...{ unit: "s", width: 6, expr: 'tombolo_reconcile_interval_seconds{name=~"$schedule"} or on() vector(0)' },
          },
          { name: "schedule", Value: "at most every" },
        ),
        series({
          title: "Rows compared",
          description: "Per second, by table. Where a run takes too long, compare what has `changed` and all rows now and then.",
          ...{ unit: "cps", width: 8, legend: "{{table}}" },
          expr: "sum by (table) (rate(tombolo_reconcile_rows_compared_total[$__rate_interval])) or on() vector(0)",
        }),
        series({
          title: "Rows repaired",
          description:
            "Per second. Repairs that come back mean that something writes past the capture: a disabled trigger, a restored backup.",
          ...{ unit: "cps", width: 8, legend: "{{child}} {{table}}" },
          expr: "sum by (child, table) (rate(tombolo_reconcile_rows_repaired_total[$__rate_interval])) or on() vector(0)",
        }),
        series({
          title: "Rows left different",
          description: "By the last run. `tombolo reconcile --link PARENT/CHILD --table TABLE` names some of them.",
          ...{ unit: "short", width: 8, legend: "{{child}} {{table}}" },
          expr: "sum by (child, table) (tombolo_reconcile_rows_differing) or on() vector(0)",
        }),
      ],
    },
  ],
};
