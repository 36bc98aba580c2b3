import {
  collectStatus,
  type DirectionReport,
  type LinkReport,
  type NodeReport,
  type StatusReport,
} from "../observability/status-report.ts";
import { EXIT, exitCodeOf, worst } from "./exit-codes.ts";
import { withNodes } from "./nodes-of.ts";
import { bytes, duration, type Output, plural, table } from "./output.ts";
import { requireTopology } from "./topology-file.ts";
import type { Verb } from "./verb.ts";

export const status: Verb = {
  name: "status",
  summary: "show nodes and links: state, pending changes, lag, packets, conflicts, parked changes, drift; changes nothing",
  examples: ["tombolo status", "tombolo status --json | jq '.links[] | {child, lag: .down.lag_seconds}'"],
  async run(context) {
    const topology = await requireTopology(context);
    return withNodes(context, topology.nodes, async (nodes) => {
      const report = await collectStatus(topology, nodes, Date.now);
      if (context.json) context.out.json(report);
      else printStatus(report, context.out);
      // it answered, and says which databases are away; only when all are is there no answer
      if (report.nodes.some(({ state }) => state !== "down")) return EXIT.done;
      return worst([...nodes.values()].map((reached) => ("error" in reached ? exitCodeOf(reached.error) : EXIT.connect)));
    });
  },
};

export function printStatus(report: StatusReport, out: Output): void {
  const nodeHead = ["NODE", "DATABASE", "STATE", "LOG", "CONFLICTS OPEN", "PARKED", "DRIFT"];
  for (const line of table(nodeHead, report.nodes.map(nodeRow))) out.line(line);
  out.line();
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
  for (const line of table(linkHead, report.links.flatMap(linkRows))) out.line(line);
  const remarks = [...report.nodes.flatMap(nodeRemarks), ...report.links.flatMap(linkRemarks)];
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

function nodeRemarks(node: NodeReport): readonly string[] {
  const drift = node.drift.map(({ table, state, reason }) => `${node.name}: ${table} is ${state}${reason === null ? "" : `: ${reason}`}`);
  if (node.error === null) return drift;
  const { code, message, hint } = node.error;
  const subject = message.startsWith(`${node.name}: `) ? "" : `${node.name}: `;
  return [`${subject}${message} (${code})${hint === null ? "" : `. ${hint}`}`, ...drift];
}

function linkRemarks(link: LinkReport): readonly string[] {
  return link.reason === null ? [] : [`${link.parent}/${link.child} is ${link.state}: ${link.reason}`];
}
