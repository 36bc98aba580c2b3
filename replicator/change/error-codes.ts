import type { CodeRow } from "./code-row.ts";
import { COMMAND_CODES } from "./codes-command.ts";
import { DATABASE_CODES } from "./codes-database.ts";
import { EDGE_CODES } from "./codes-edge.ts";
import { HUB_CODES } from "./codes-hub.ts";
import { MEDIUM_CODES } from "./codes-medium.ts";
import { NOTIFY_CODES } from "./codes-notify.ts";
import { RECONCILE_CODES } from "./codes-reconcile.ts";
import { REPLICATION_CODES } from "./codes-replication.ts";
import { SLOT_CODES } from "./codes-slot.ts";
import { TOPOLOGY_CODES } from "./codes-topology.ts";

/** Every code of the product, by what it is about. `docs/errors.md` is made from it. */
export const CODE_TABLES: readonly { readonly title: string; readonly rows: readonly CodeRow[] }[] = [
  { title: "Changes on their way", rows: REPLICATION_CODES },
  { title: "Comparing and repairing", rows: RECONCILE_CODES },
  { title: "Databases and tables", rows: DATABASE_CODES },
  { title: "Capture from a slot", rows: SLOT_CODES },
  { title: "The hub's service", rows: HUB_CODES },
  { title: "Edges", rows: EDGE_CODES },
  { title: "Changes on files", rows: MEDIUM_CODES },
  { title: "Notifications", rows: NOTIFY_CODES },
  { title: "The topology file", rows: TOPOLOGY_CODES },
  { title: "Commands and the process", rows: COMMAND_CODES },
];

/** What a code means, in one sentence; null for one that is not ours. */
export function codeMeaning(code: string): string | null {
  for (const { rows } of CODE_TABLES) for (const [known, , meaning] of rows) if (known === code) return meaning;
  return null;
}

const PREFACE = `# Errors

Made from \`replicator/change/error-codes.ts\` by \`npm run docs\`; do not edit.

Every error, finding and parked change has a code that stays the same, a message that names what is concerned, and a hint. Match on the code, never on the text. Messages
hold names, never values of rows and never secrets. The kind says what happens:

| kind | what happens |
|---|---|
| \`retry\` | passes by itself: tried again, with longer and longer waits |
| \`connect\` | a database cannot be reached: exit 4; \`run\` tries again |
| \`operator\` | stops this table, link or node until a person acts; the others go on |
| \`usage\` | the command line or the topology is wrong: exit 2 |
| \`newer\` | the database belongs to a newer Tombolo: exit 5 |
| \`fatal\` | a mistake in Tombolo: the process stops |
| \`finding\` | \`plan\`, \`doctor\` and \`status\` report it |
| \`parked\` | the change waits, with what depends on it; the others go on |
| \`notice\` | a line in the log |
`;

/** The text of docs/errors.md. */
export function errorsPage(): string {
  const section = ({ title, rows }: (typeof CODE_TABLES)[number]): string =>
    [
      `## ${title}`,
      "",
      "| code | kind | what it means | what to do |",
      "|---|---|---|---|",
      ...[...rows]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([code, kind, meaning, remedy]) => `| \`${code}\` | ${kind} | ${meaning} | ${remedy} |`),
      "",
    ].join("\n");
  return [PREFACE, ...CODE_TABLES.map(section)].join("\n");
}
