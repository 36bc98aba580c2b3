import { tableName } from "../change/names.ts";
import { CONFLICT_KINDS } from "../change/verdict.ts";
import { nodeOf } from "../lifecycle/tree.ts";
import { errorLine, errorReport } from "../observability/describe-error.ts";
import { type ConflictPage, type ConflictQuestion, conflictNodes, conflictPage, isParent } from "../operations/conflict-pages.ts";
import { conflictReport } from "../operations/conflict-report.ts";
import type { Topology, TopologyNode } from "../topology/topology.ts";
import { EXIT, type ExitCode, exitCodeOf, worst } from "./exit-codes.ts";
import { reachedNode, withNodes } from "./nodes-of.ts";
import { count, moment, numberAtNode, oneOf, optionInvalid } from "./option-values.ts";
import { table } from "./output.ts";
import { cut, keyText } from "./row-text.ts";
import { requireTopology } from "./topology-file.ts";
import { type CommandContext, flag, list, type RunVerb, text, type VerbInput } from "./verb.ts";

const MOST = 10_000;
const KEY_WIDTH = 40;

export const conflictsList: RunVerb = async (context, input) => {
  const topology = await requireTopology(context);
  const named = text(input, "node") ?? null;
  if (named !== null) nodeOf(topology, named);
  const asked = conflictNodes(topology, { open: flag(input, "open"), node: named });
  const question = questionOf(topology, input, asked);
  return withNodes(context, asked, async (nodes) => {
    const names = asked.map(({ name }) => name);
    const page = await conflictPage(names, async (name) => reachedNode(nodes, name), question);
    const { failed } = page;
    if (context.json) {
      context.out.json({
        conflicts: page.shown.map(({ node, record }) => conflictReport(node, record)),
        next: page.next,
        not_asked: failed.map(({ node, error }) => ({ node, error: errorReport(error) })),
      });
    } else print(context, page);
    for (const { node, error } of failed) context.out.note(`${node}: ${errorLine(error)}`);
    return worst([
      // a leaf that is away decides nothing: what others have is all there is to see to
      ...failed.filter(({ node }) => isParent(topology, node)).map(({ error }) => exitCodeOf(error)),
      page.shown.length > 0 && flag(input, "open") ? EXIT.found : EXIT.done,
    ] satisfies ExitCode[]);
  });
};

function questionOf(topology: Topology, input: VerbInput, asked: readonly TopologyNode[]): ConflictQuestion {
  const now = Date.now();
  const [named, wantedTable, kind, since, until] = ["node", "table", "kind", "since", "until"].map((name) => text(input, name));
  const before = new Map<string, bigint>();
  for (const each of list(input, "before")) {
    const { node, id } = numberAtNode(each);
    const [only, ...others] = asked;
    if (node === null && (only === undefined || others.length > 0)) {
      throw optionInvalid(`--before ${each} does not say at which node`, `Write --before ${only?.name ?? "NODE"}/${each}.`);
    }
    before.set(nodeOf(topology, node ?? only?.name ?? "").name, id);
  }
  return {
    node: named === undefined ? null : nodeOf(topology, named).name,
    before,
    filter: {
      limit: count("limit", text(input, "limit") ?? "50", MOST),
      ...(flag(input, "open") ? { open: true } : {}),
      ...(wantedTable === undefined ? {} : { table: tableName(wantedTable) }),
      ...(kind === undefined ? {} : { kind: oneOf("kind", kind, CONFLICT_KINDS) }),
      ...(since === undefined ? {} : { since: moment("since", since, now) }),
      ...(until === undefined ? {} : { until: moment("until", until, now) }),
    },
  };
}

function print({ out }: CommandContext, page: ConflictPage): void {
  const rows = page.shown.map(({ node, record }) => [
    node,
    String(record.id),
    record.detectedAt,
    record.table,
    cut(keyText(record.key), KEY_WIDTH),
    record.kind,
    record.childNode,
    record.resolution,
    record.status,
  ]);
  if (rows.length === 0) out.line("no conflicts");
  else for (const line of table(["NODE", "ID", "DETECTED", "TABLE", "KEY", "KIND", "CHILD", "RESOLUTION", "STATUS"], rows)) out.line(line);
  if (page.next !== null) out.note(`there are more: ${page.next.map((each) => `--before ${each}`).join(" ")}`);
}
