import type { CodeRow } from "./code-row.ts";

/** The command line and the process itself. */
export const COMMAND_CODES: readonly CodeRow[] = [
  ["CONFIRMATION_NEEDED", "usage", "There is no terminal to ask for confirmation on.", "Read `tombolo plan`, then give --yes."],
  ["FILE_EXISTS", "usage", "The file to write is already there.", "Give another name with --out."],
  ["FILE_NOT_WRITABLE", "usage", "The file cannot be written.", "Give another place with --out."],
  ["HTTP_LISTEN", "usage", "Metrics cannot be served on the address.", "Choose a free one in metrics.listen."],
  ["INTERNAL", "fatal", "A mistake in Tombolo.", "Report it with the log."],
  ["LEASE_HELD", "notice", "Another replicator runs this topology; this one waits.", "Nothing, or stop one of them."],
  [
    "LEASE_UNREACHABLE",
    "connect",
    "The hub cannot be reached for the lease of the topology.",
    "Check that the database runs, and its address.",
  ],
  ["LINK_UNKNOWN", "usage", "The topology has no such link.", "Give one that the hint lists."],
  ["METHOD_NOT_ALLOWED", "usage", "The metrics server answers GET and HEAD only.", "Use GET."],
  ["NODE_IS_HUB", "usage", "The hub has no parent to be paused towards.", "Pause its children."],
  ["NODE_SILENT", "connect", "A node does not answer in time.", "Nothing; it is tried again."],
  ["NODE_UNKNOWN", "usage", "The topology has no such node.", "Give one that the hint lists."],
  ["NOT_FOUND", "usage", "The metrics server has no such page.", "See the paths in the answer."],
  ["NOT_OPENED", "connect", "A node has not been opened yet.", "Nothing; it is about to be."],
  ["RELOAD_REFUSED", "notice", "The changed topology file was not taken over; the one before stays in force.", "Correct it, or restart."],
  ["REPLICATOR_RUNS", "operator", "A replicator of this topology is running.", "Stop it first, or leave the work to it."],
  ["SERVICE_ENDED", "retry", "A service of the replicator ended by itself; it is started again.", "Report it if it repeats."],
  ["TOO_FEW_DATABASES", "usage", "A topology needs at least two databases.", "Give them with --postgres URL and --sqlite FILE."],
  ["UNEXPECTED", "fatal", "An error that Tombolo does not know.", "Report it with the log."],
];
