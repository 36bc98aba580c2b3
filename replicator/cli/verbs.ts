import { CONFLICT_KINDS } from "../change/verdict.ts";
import { byPlace, EDGE_OPTIONS } from "./edge-options.ts";
import type { Verb, VerbOption } from "./verb.ts";
import { farVerbs } from "./verbs-far.ts";

const NODE_OPTION: VerbOption = { flags: "--node <name...>", description: "only these nodes (default: all)" };
const TABLE_OPTION: VerbOption = { flags: "--table <name>", description: "only those of this table, as the topology names it" };
const HOLDER_OPTION: VerbOption = {
  flags: "--node <name>",
  description: "the node whose history holds it, where more than one has the number",
};

/**
 * In the order of the help: from setting up to daily work. What a verb does is loaded when it is called, so that `--help` and each verb
 * start with what they need and no more.
 */
export const verbs: readonly Verb[] = [
  {
    name: "init",
    summary: "write a topology file from the databases it is pointed at; the first Postgres becomes the hub",
    options: [
      { flags: "--postgres <url...>", description: "connection URLs of Postgres databases" },
      { flags: "--sqlite <file...>", description: "SQLite files" },
      { flags: "--name <name>", description: "the topology's name", default: "main" },
      { flags: "--out <file>", description: "where to write; an existing file is never overwritten", default: "topology.yaml" },
    ],
    examples: ["tombolo init --postgres postgres://me@localhost/shop --sqlite data/store-1.db data/store-2.db"],
    load: async () => (await import("./init.ts")).init,
  },
  {
    name: "validate",
    summary: "check the topology file, and the databases against it; shows every problem at once",
    options: [{ flags: "--offline", description: "check the file only" }],
    examples: ["tombolo validate", "tombolo -c topology.yaml validate --offline"],
    load: async () => (await import("./validate.ts")).validate,
  },
  {
    name: "schema",
    summary: "print the JSON Schema of the topology file, for editors",
    examples: ["tombolo schema > topology.schema.json"],
    load: async () => (await import("./schema.ts")).schema,
  },
  {
    name: "plan",
    summary: "show what `apply` would create, change or drop in each database; changes nothing",
    options: [{ flags: "--sql", description: "print the statements, for a DBA to read, approve or run" }, NODE_OPTION],
    examples: ["tombolo plan", "tombolo plan --sql > review.sql"],
    load: async () => (await import("./plan.ts")).plan,
  },
  {
    name: "apply",
    summary: "do what `plan` shows: tables, functions and triggers in each database",
    options: [{ flags: "--yes", description: "do not ask" }, NODE_OPTION],
    examples: ["tombolo apply", "tombolo apply --yes --node store-1"],
    load: async () => (await import("./apply.ts")).apply,
  },
  {
    name: "run",
    summary: "replicate until told to stop; several processes on one topology share its links",
    examples: ["tombolo run", "tombolo -c /etc/tombolo/topology.yaml run --log-format json", "kill -HUP <pid>   # read the file again"],
    load: async () => (await import("./run.ts")).run,
  },
  {
    name: "sync",
    summary: "one round both ways over all links until nothing is pending, then end",
    options: [{ flags: "--link <parent/child>", description: "only this link" }, ...EDGE_OPTIONS],
    examples: ["tombolo sync", "tombolo sync --link hub/store-1 --json", "tombolo sync --database ./shop.db"],
    load: async () => byPlace((await import("./sync.ts")).sync, async () => (await import("./edge-once.ts")).syncEdge),
  },
  {
    name: "status",
    summary: "show nodes and links: state, pending changes, lag, packets, conflicts, parked changes, drift; changes nothing",
    options: EDGE_OPTIONS,
    examples: [
      "tombolo status",
      "tombolo status --json | jq '.links[] | {child, lag: .down.lag_seconds}'",
      "tombolo status --database ./shop.db",
    ],
    load: async () => byPlace((await import("./status.ts")).status, async () => (await import("./edge-once.ts")).statusEdge),
  },
  {
    name: "doctor",
    summary: "check privileges, settings, clocks, triggers and versions; each finding comes with its remedy",
    examples: ["tombolo doctor", "tombolo doctor --json | jq '.nodes[].findings[] | select(.severity == \"error\")'"],
    load: async () => (await import("./doctor.ts")).doctor,
  },
  {
    name: "reconcile",
    summary: "compare both ends of links while they are written to, and repair what differs; ends with 3 when differences are left",
    options: [
      { flags: "--link <parent/child>", description: "only this link; of an edge: it compares itself when it comes" },
      { flags: "--table <name>", description: "only this table, as the topology names it", repeatable: true },
      {
        flags: "--repair <how>",
        description: "report; parent: the parent's rows count; newest: those that were changed later, where both logs tell",
        default: "report",
      },
      {
        flags: "--changed",
        description: "only rows that have changed since the last such run, as far as the logs tell; all rows the first time",
      },
      { flags: "--range <from..to>", description: "only these keys of one table, without TO itself: 1000..2000, 1000.." },
      { flags: "--sample <percent>", description: "only so much of each table, chosen by chance" },
      { flags: "--pace <percent>", description: "ask the databases something for so much of the time (default: 100)" },
      { flags: "--max-deletes <count>", description: "a repair may delete so many rows of a child's table (default: 1000, and 10 %)" },
      { flags: "--yes", description: "a repair may delete any number of rows" },
      { flags: "--no-wait", description: "of an edge: do not wait for it" },
      { flags: "--cancel", description: "of an edge: take back what it was asked for, begun or not" },
      { flags: "--by <name>", description: "who asks an edge (default: the user of the operating system)" },
      ...EDGE_OPTIONS,
    ],
    examples: [
      "tombolo reconcile",
      "tombolo reconcile --link hub/store-1 --table shop.orders --repair parent",
      "tombolo reconcile --table shop.orders --range 100000..200000",
      "tombolo reconcile --changed --repair parent",
      "tombolo reconcile --pace 20",
      "tombolo reconcile --link hub/store-7 --no-wait",
      "tombolo reconcile --link hub/store-7 --cancel",
      "tombolo reconcile --database ./shop.db",
      "tombolo reconcile --json | jq '.links[].tables[] | select(.differing > 0)'",
    ],
    load: async () => byPlace((await import("./reconcile.ts")).reconcile, async () => (await import("./edge-reconcile.ts")).reconcileEdge),
  },
  {
    name: "conflicts list",
    summary: "list the conflicts that were decided, and those that wait for a person; newest first",
    options: [
      { flags: "--open", description: "only those that wait for a person; ends with 3 when there are any" },
      { flags: "--node <name>", description: "only those that this node decided, or whose change came from it" },
      { flags: "--table <name>", description: "only those of this table, as the topology names it" },
      { flags: "--kind <kind>", description: `only those of this kind: ${CONFLICT_KINDS.join(", ")}` },
      { flags: "--since <moment>", description: "detected then or later: 2026-01-31, 2026-01-31T12:00:00Z, or 7d ago" },
      { flags: "--until <moment>", description: "detected before" },
      { flags: "--limit <count>", description: "at most so many", default: "50" },
      { flags: "--before <id>", description: "the next page, as the end of this one says: NODE/ID", repeatable: true },
    ],
    examples: [
      "tombolo conflicts list --open",
      "tombolo conflicts list --table shop.orders --since 7d",
      "tombolo conflicts list --node store-1 --json | jq '.conflicts[] | {id, kind, child_row}'",
      "tombolo conflicts list --before hub/71 --before region/12",
    ],
    load: async () => (await import("./conflicts-list.ts")).conflictsList,
  },
  {
    name: "conflicts show",
    summary: "show a conflict: base, parent's, child's and resulting row, and the row as it is now, side by side",
    arguments: "<id>",
    options: [HOLDER_OPTION],
    examples: ["tombolo conflicts show 7", "tombolo conflicts show hub/7", "tombolo conflicts show 7 --json | jq .differing"],
    load: async () => (await import("./conflicts-show.ts")).conflictsShow,
  },
  {
    name: "conflicts resolve",
    summary: "decide a conflict, or decide it again; the decision replicates",
    arguments: "<id>",
    options: [
      {
        flags: "--take <version>",
        description: "the contested columns, or the row, become the parent's, the child's or the base's: parent, child, base",
      },
      { flags: "--set <column=value>", description: "a column and its value; `column=` is the empty text", repeatable: true },
      { flags: "--set-null <column>", description: "a column that becomes NULL", repeatable: true },
      { flags: "--force", description: "although the row has changed since" },
      { flags: "--by <name>", description: "who decides (default: the user of the operating system)" },
      HOLDER_OPTION,
    ],
    examples: [
      "tombolo conflicts resolve 7 --take child",
      "tombolo conflicts resolve hub/7 --take base --force",
      "tombolo conflicts resolve 7 --set note='both of it' --set qty=12 --set-null discount",
    ],
    load: async () => (await import("./conflicts-resolve.ts")).conflictsResolve,
  },
  {
    name: "parked list",
    summary: "list the changes that nodes have set aside because their database refuses them; oldest first",
    options: [NODE_OPTION, TABLE_OPTION, { flags: "--limit <count>", description: "at most so many of each node", default: "50" }],
    examples: [
      "tombolo parked list",
      "tombolo parked list --node hub --table shop.orders",
      "tombolo parked list --json | jq '.parked[] | {id, code, reason}'",
    ],
    load: async () => (await import("./parked-list.ts")).parkedList,
  },
  {
    name: "parked show",
    summary: "show a parked change: the row before and after it, at both ends, why it was refused and which rows are in the way",
    arguments: "<id>",
    examples: ["tombolo parked show 17", "tombolo parked show hub/17", "tombolo parked show 17 --json | jq .in_the_way"],
    load: async () => (await import("./parked-show.ts")).parkedShow,
  },
  {
    name: "parked retry",
    summary: "try parked changes again at once, all or these; ends with 3 when some are still refused",
    arguments: "[id...]",
    options: [NODE_OPTION, TABLE_OPTION],
    examples: ["tombolo parked retry", "tombolo parked retry hub/17 hub/18", "tombolo parked retry --table shop.orders"],
    load: async () => (await import("./parked-retry.ts")).parkedRetry,
  },
  {
    name: "parked discard",
    summary:
      "give up parked changes: a child's goes into the conflict history, and the child gets the row as it is; of the parent's, the row is asked for anew",
    arguments: "<id...>",
    options: [{ flags: "--by <name>", description: "who decides (default: the user of the operating system)" }],
    examples: ["tombolo parked discard 17", "tombolo parked discard hub/17 hub/18 --by ann"],
    load: async () => (await import("./parked-discard.ts")).parkedDiscard,
  },
  {
    name: "full-sync",
    summary: "make a node a copy of its parent, or the parent a copy of the node; what is replaced is kept in the conflict history",
    arguments: "[child]",
    options: [
      {
        flags: "--direction <way>",
        description: "pull: the child becomes its parent's copy; push: the parent takes over what the child has",
        default: "pull",
      },
      {
        flags: "--tables <names>",
        description: "only these tables, as the topology names them, with commas between (default: all that travel)",
      },
      { flags: "--verify", description: "compare both sides at the tick of the hand-over; ends with 3 when they differ" },
      { flags: "--resume", description: "go on with a full sync that was interrupted" },
      { flags: "--pace <percent>", description: "copy and compare for so much of the time (default: 100)" },
      { flags: "--no-backup", description: "do not copy a SQLite database before it is changed" },
      { flags: "--no-wait", description: "where the child is an edge: do not wait for it" },
      { flags: "--cancel", description: "where the child is an edge: take back what it was asked for, begun or not" },
      {
        flags: "--max-deletes <count>",
        description: "where an edge fills the hub: so many rows of a table of the hub's may go (default: 1000, and 10 %)",
      },
      { flags: "--yes", description: "do not ask" },
      { flags: "--by <name>", description: "who does it (default: the user of the operating system)" },
      ...EDGE_OPTIONS,
    ],
    examples: [
      "tombolo full-sync store-1",
      "tombolo full-sync store-1 --resume --verify --yes",
      "tombolo full-sync store-1 --pace 20",
      "tombolo full-sync store-1 --direction push --tables shop.orders,shop.items",
      "tombolo full-sync store-7 --cancel",
      "tombolo full-sync --database ./shop.db",
    ],
    load: async () => byPlace((await import("./full-sync.ts")).fullSync, async () => (await import("./edge-full-sync.ts")).fullSyncEdge),
  },
  {
    name: "nodes list",
    summary: "list the nodes with their place in the tree and their state",
    examples: ["tombolo nodes list", "tombolo nodes list --json"],
    load: async () => (await import("./nodes.ts")).nodesList,
  },
  {
    name: "nodes pause",
    summary: "stop replicating between a node and its parent; changes are kept until it is resumed",
    arguments: "<node>",
    examples: ["tombolo nodes pause store-1"],
    load: async () => (await import("./nodes.ts")).nodesPause,
  },
  {
    name: "nodes resume",
    summary: "go on replicating between a node and its parent",
    arguments: "<node>",
    examples: ["tombolo nodes resume store-1"],
    load: async () => (await import("./nodes.ts")).nodesResume,
  },
  {
    name: "nodes resync",
    summary: "let a node and its parent begin anew after one was restored, copied, promoted or away for too long; a full sync follows",
    arguments: "<node>",
    options: [
      {
        flags: "--direction <way>",
        description: "pull: the node becomes its parent's copy; push: the parent takes over what the node has",
        default: "pull",
      },
      { flags: "--verify", description: "compare both sides afterwards; ends with 3 when they differ" },
      { flags: "--no-backup", description: "do not copy a SQLite database before it is changed" },
      { flags: "--no-wait", description: "where the node is an edge: do not wait for it" },
      {
        flags: "--max-deletes <count>",
        description: "where an edge fills the hub: so many rows of a table of the hub's may go (default: 1000, and 10 %)",
      },
      { flags: "--by <name>", description: "who decides (default: the user of the operating system)" },
      { flags: "--yes", description: "do not ask" },
    ],
    examples: ["tombolo nodes resync store-1", "tombolo nodes resync store-1 --direction push --verify --yes"],
    load: async () => (await import("./nodes-resync.ts")).nodesResync,
  },
  {
    name: "nodes remove",
    summary: "forget a node that does not come back: its neighbours keep their logs for it no longer",
    arguments: "<node>",
    options: [
      { flags: "--by <name>", description: "who decides (default: the user of the operating system)" },
      { flags: "--yes", description: "do not ask" },
    ],
    examples: ["tombolo nodes remove store-7", "tombolo nodes remove store-7 --yes --json"],
    load: async () => (await import("./nodes-resync.ts")).nodesRemove,
  },
  ...farVerbs,
  {
    name: "uninstall",
    summary: "remove every trace of Tombolo from the databases; the replicated tables stay as they are",
    options: [{ flags: "--yes", description: "do not ask" }, NODE_OPTION, ...EDGE_OPTIONS],
    examples: ["tombolo uninstall", "tombolo uninstall --yes --node store-1", "tombolo uninstall --database ./shop.db"],
    load: async () => byPlace((await import("./uninstall.ts")).uninstall, async () => (await import("./edge-uninstall.ts")).uninstallEdge),
  },
];
