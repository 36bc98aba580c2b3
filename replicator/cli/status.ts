import type { EdgeReport } from "../observability/edge-report.ts";
import type { FullSyncReport } from "../observability/full-sync-report.ts";
import {
  collectStatus,
  type DirectionReport,
  type LinkReport,
  type NodeReport,
  type StatusReport,
  type WaitingReport,
} from "../observability/status-report.ts";
import { EXIT, exitCodeOf, worst } from "./exit-codes.ts";
import { withNodes } from "./nodes-of.ts";
import { bytes, duration, type Output, plural, table } from "./output.ts";
import { oneLine } from "./row-text.ts";
import { requireTopology } from "./topology-file.ts";
import type { RunVerb } from "./verb.ts";

export const status: RunVerb = async (context) => {
  const topology = await requireTopology(context);
  return withNodes(context, topology.nodes, async (nodes) => {
    const report = await collectStatus(topology, nodes, Date.now);
    if (context.json) context.out.json(report);
    else printStatus(report, context.out);
    // it answered, and says which databases are away; only when all are is there no answer
    if (report.nodes.some(({ state }) => state !== "down")) return EXIT.done;
    return worst([...nodes.values()].map((reached) => ("error" in reached ? exitCodeOf(reached.error) : EXIT.connect)));
  });
};

export function printStatus(report: StatusReport, out: Output): void {
  const nodeHead = ["NODE", "DATABASE", "STATE", "LOG", "CONFLICTS OPEN", "PARKED", "DRIFT"];
  for (const line of table(nodeHead, report.nodes.map(nodeRow))) out.line(line);
  const linkHead = [
    "LINK",
    "STATE",
    "DIRECTION",
    "PENDING",
    "LAG",
    "SENT",
    "ACKNOWLEDGED",
    "LAST IN",
    "LAST OUT",
    "CONFLICTS OPEN",
    "PARKED",
  ];
  if (report.links.length > 0) for (const line of ["", ...table(linkHead, report.links.flatMap(linkRows))]) out.line(line);
  if (report.edges.length > 0) {
    out.line();
    const edgeHead = ["EDGE", "STATE", "PENDING", "SENT", "RECEIVED", "LAST IN", "LAST OUT", "CONFLICTS OPEN", "PARKED"];
    for (const line of table(edgeHead, report.edges.map(edgeRow))) out.line(line);
  }
  const remarks = [...report.nodes.flatMap(nodeRemarks), ...report.links.flatMap(linkRemarks), ...report.edges.flatMap(edgeRemarks)];
  if (remarks.length > 0) out.line();
  for (const remark of remarks) out.line(remark);
}

const UNKNOWN = "-";
const shown = (value: number | string | null): string => (value === null ? UNKNOWN : String(value));

function nodeRow(node: NodeReport): readonly string[] {
  return [
    node.name,
    node.version ?? node.engine,
    node.state.replace("_", " "),
    node.log_rows === null || node.log_bytes === null ? UNKNOWN : `${plural(node.log_rows, "row")}, ${bytes(node.log_bytes)}`,
    shown(node.conflicts_open),
    shown(node.parked_changes),
    node.state === "up" ? (node.drift.length === 0 ? "none" : String(node.drift.length)) : UNKNOWN,
  ];
}

function linkRows(link: LinkReport): readonly (readonly string[])[] {
  const row = (direction: string, { pending_changes, lag_seconds, packets_sent, packets_acknowledged }: DirectionReport) => [
    direction,
    shown(pending_changes),
    lag_seconds === null ? UNKNOWN : duration(lag_seconds),
    shown(packets_sent),
    shown(packets_acknowledged),
  ];
  const ends = [link.last_in ?? "never", link.last_out ?? "never", shown(link.conflicts_open), shown(link.parked_changes)];
  return [
    [`${link.parent}/${link.child}`, link.state, ...row("up", link.up), ...ends],
    ["", "", ...row("down", link.down), "", "", "", ""],
  ];
}

const edgeRow = (edge: EdgeReport): readonly string[] => [
  `${edge.parent}/${edge.edge}`,
  edge.state,
  shown(edge.pending_changes),
  edge.packets_sent,
  edge.packets_received,
  edge.last_in ?? "never",
  edge.last_out ?? "never",
  shown(edge.conflicts_open),
  shown(edge.parked_changes),
];

/** What it was asked for from here, and when it has come for none of it yet. */
const edgeRemarks = ({ edge, parent, asked, full_sync: fullSync }: EdgeReport): readonly string[] => [
  ...(fullSync === null ? [] : fullSyncRemarks(edge, fullSync)),
  ...asked.map(({ what, since, how }) => {
    const [wish, back] =
      what === "full_sync"
        ? [`a full sync (${how})`, `full-sync ${edge}`]
        : [`a comparison (${how})`, `reconcile --link ${parent}/${edge}`];
    return `${parent}/${edge}: ${wish} is asked of it since ${since}; take it back with \`tombolo ${back} --cancel\``;
  }),
];

function nodeRemarks(node: NodeReport): readonly string[] {
  const drift = [
    ...node.drift.map(({ table, state, reason }) => `${node.name}: ${table} is ${state}${reason === null ? "" : `: ${reason}`}`),
    ...(node.full_sync === null ? [] : fullSyncRemarks(node.name, node.full_sync)),
  ];
  if (node.error === null) return drift;
  const { code, message, hint } = node.error;
  const subject = message.startsWith(`${node.name}: `) ? "" : `${node.name}: `;
  return [`${subject}${message} (${code})${hint === null ? "" : `. ${hint}`}`, ...drift];
}

/** One that ended well is no matter of status any more, unless what was compared afterwards was not equal. */
function fullSyncRemarks(node: string, run: FullSyncReport): readonly string[] {
  if (run.state === "done" && (run.differing ?? 0) > 0)
    return [
      `${node}: ${plural(run.differing ?? 0, "row")} differed after the full sync from ${run.source}. Compare them with \`tombolo reconcile\``,
    ];
  if (run.state === "done" && run.error !== null) return [`${node}: full sync from ${run.source} done: ${run.error}`];
  if (run.state === "done" || run.state === "cancelled") return [];
  const far = run.phase === "copy" ? `: ${run.rows} of about ${run.estimated_rows} rows` : "";
  if (run.state === "running")
    return [`${node}: full sync from ${run.source} since ${run.started_at}, ${run.phase.replace("_", " ")}${far} (${run.holder})`];
  const why = run.error === null ? "" : `: ${run.error}`;
  return [
    `${node}: full sync from ${run.source} ${run.state}${why}${run.state === "interrupted" ? ". Go on with `tombolo full-sync --resume`" : ""}`,
  ];
}

function linkRemarks(link: LinkReport): readonly string[] {
  const { parent, child } = link;
  const name = `${parent}/${child}`;
  return [
    ...(link.reason === null ? [] : [`${name} is ${link.state}: ${link.reason}`]),
    ...link.parked_at_parent.map((waiting) => `${name}: ${changes(waiting)} of ${child} at ${parent}: ${why(waiting, parent)}`),
    ...link.parked_at_child.map((waiting) => `${name}: ${changes(waiting)} of ${parent} at ${child}: ${why(waiting, child)}`),
    ...toldRemarks(link),
  ];
}

/** What the child knows by itself, as it would be seen where only the child is. */
function toldRemarks({ parent, child, refused_changes, refused }: LinkReport): readonly string[] {
  const [first] = refused;
  if (refused_changes === null || refused_changes === 0) return [];
  const waits = refused_changes === 1 ? "one of its changes waits" : `${refused_changes} of its changes wait`;
  return [`${child} has been told that ${waits} at its parent ${parent}${first === undefined ? "" : `: ${why(first, null)}`}`];
}

const changes = ({ changes: count }: WaitingReport): string => plural(count, "parked change");

/** Such as `UNIQUE_VIOLATION since 2026-…, first an insert into shop.customer (unique key …); tombolo parked show hub/17`. */
function why({ code, oldest }: WaitingReport, node: string | null): string {
  const show = node === null || oldest.id === null ? "" : `; see tombolo parked show ${node}/${oldest.id}`;
  return `${code} since ${oldest.parked_at}, first ${oldest.op} in ${oldest.table} (${oneLine(oldest.reason)})${show}`;
}
