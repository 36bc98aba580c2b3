import { type Dashboard, LINK, NODE } from "./dashboard.ts";
import { series, stat, table } from "./panel.ts";

const decided = (by: string, range: string): string => `sum by (${by}) (increase(tombolo_conflicts_total{child=~"$link"}[${range}]))`;

export const conflicts: Dashboard = {
  name: "conflicts",
  title: "Tombolo conflicts",
  description: "Conflicts by table, kind and how they ended; and what waits for a person.",
  variables: [NODE, LINK],
  sections: [
    {
      title: null,
      panels: [
        stat(
          {
            title: "Open conflicts",
            description:
              "Wait for a person: `tombolo conflicts list --open`, then `tombolo conflicts resolve ID --take parent|child|base`.",
            ...{ unit: "short", width: 6, expr: 'sum(tombolo_conflicts_open{node=~"$node"})' },
          },
          { warn: 1, bad: 100 },
        ),
        stat({
          title: "Decided, in the time shown",
          description:
            "By policy, all tables of the chosen links. Each is a row of tombolo.conflict_history at the parent, with the version that lost.",
          ...{ unit: "short", width: 6, expr: 'sum(increase(tombolo_conflicts_total{child=~"$link"}[$__range])) or on() vector(0)' },
        }),
        stat(
          {
            title: "Parked changes",
            description: "Refused by a database or a rule, and set aside with what depends on them: `tombolo parked list`.",
            ...{ unit: "short", width: 6, expr: 'sum(tombolo_parked_changes{node=~"$node"})' },
          },
          { warn: 1 },
        ),
        stat(
          {
            title: "Conflicts for 1000 changes",
            description:
              "Of what came up from the chosen links in the time shown. Where it is high, two sides write the same rows: give a table to one side, or merge it.",
            ...{ unit: "short", width: 6 },
            expr: '(1000 * sum(increase(tombolo_conflicts_total{child=~"$link"}[$__range])) / (sum(increase(tombolo_changes_applied_total{source=~"$link"}[$__range])) > 0)) or on() vector(0)',
          },
          { warn: 10 },
        ),
      ],
    },
    {
      title: "Decided",
      panels: [
        series(
          {
            title: "By table",
            description: "A table with many conflicts is written at both ends: another policy, or `merge`, may suit it better.",
            ...{ unit: "short", width: 12, expr: decided("table", "$__rate_interval"), legend: "{{table}}" },
          },
          "bars",
        ),
        series(
          {
            title: "By child",
            description:
              "A child with many more than the others: its clock, an application that writes back what it has read, or two of them with one name.",
            ...{ unit: "short", width: 12, expr: decided("child", "$__rate_interval"), legend: "{{child}}" },
          },
          "bars",
        ),
        series(
          {
            title: "By kind",
            description:
              "update_update: both edited. insert_insert: both made the key, see `ids`. delete_update and update_delete: one deleted what the other edited. unique, foreign_key, check: a constraint.",
            ...{ unit: "short", width: 12, expr: decided("kind", "$__rate_interval"), legend: "{{kind}}" },
          },
          "bars",
        ),
        series(
          {
            title: "By resolution",
            description: "Whose version it became: parent, child, merged of both; or open, which waits for a person.",
            ...{ unit: "short", width: 12, expr: decided("resolution", "$__rate_interval"), legend: "{{resolution}}" },
          },
          "bars",
        ),
        table(
          {
            title: "By table, kind and resolution, in the time shown",
            description: "Most first. `tombolo conflicts list --table TABLE` shows the rows side by side.",
            ...{
              unit: "short",
              width: 24,
              expr: `sort_desc(${decided("child, table, kind, resolution", "$__range")} > 0) or on() vector(0)`,
            },
          },
          { child: "child", table: "table", kind: "kind", resolution: "became", Value: "conflicts" },
        ),
      ],
    },
    {
      title: "Waiting",
      panels: [
        series({
          title: "Open conflicts by node",
          description: "Falls as people decide; the alert TomboloConflictsOpen comes after an hour.",
          ...{ unit: "short", width: 12, expr: 'tombolo_conflicts_open{node=~"$node"}', legend: "{{node}}" },
        }),
        series({
          title: "Parked changes by node",
          description: "Tried again by themselves when a row that they refer to comes; `tombolo parked retry` tries at once.",
          ...{ unit: "short", width: 12, expr: 'tombolo_parked_changes{node=~"$node"}', legend: "{{node}}" },
        }),
      ],
    },
  ],
};
