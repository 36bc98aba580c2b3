import { type NodeName, tableName } from "../change/names.ts";
import type { ParkedRecord } from "../node/parked-desk.ts";
import { errorLine, errorReport } from "../observability/describe-error.ts";
import { operationName, type Reached } from "../observability/status-report.ts";
import { parkedReport } from "../operations/parked-report.ts";
import { EXIT, exitCodeOf, worst } from "./exit-codes.ts";
import { chosenNodes, withNodes } from "./nodes-of.ts";
import { count } from "./option-values.ts";
import { table } from "./output.ts";
import { cut, keyText, oneLine } from "./row-text.ts";
import { requireTopology } from "./topology-file.ts";
import { type CommandContext, type RunVerb, text } from "./verb.ts";

const MOST = 100_000;
const KEY_WIDTH = 40;

export const parkedList: RunVerb = async (context, input) => {
  const topology = await requireTopology(context);
  const named = text(input, "table");
  const limit = count("limit", text(input, "limit") ?? "50", MOST);
  const filter = { limit: limit + 1, ...(named === undefined ? {} : { table: tableName(named) }) };
  return withNodes(context, chosenNodes(topology, input), async (nodes) => {
    const answers = await Promise.all([...nodes].map(([name, reached]) => ask(name, reached, filter)));
    const failed = answers.filter((answer) => "error" in answer);
    const listed = answers.flatMap((answer) =>
      "records" in answer ? answer.records.slice(0, limit).map((record) => ({ node: answer.node, record })) : [],
    );
    if (context.json) {
      context.out.json({
        parked: listed.map(({ node, record }) => parkedReport(node, record)),
        not_asked: failed.map(({ node, error }) => ({ node, error: errorReport(error) })),
      });
    } else print(context, listed);
    for (const answer of answers) {
      if ("error" in answer) context.out.note(`${answer.node}: ${errorLine(answer.error)}`);
      else if (answer.records.length > limit) context.out.note(`${answer.node} has more: --limit ${limit * 10} --node ${answer.node}`);
    }
    return worst([EXIT.done, ...failed.map(({ error }) => exitCodeOf(error))]);
  });
};

type Answer = { readonly node: NodeName; readonly records: readonly ParkedRecord[] } | { readonly node: NodeName; readonly error: unknown };

async function ask(node: NodeName, reached: Reached, filter: { readonly limit: number }): Promise<Answer> {
  try {
    if (!("node" in reached)) throw reached.error;
    return { node, records: await reached.node.parked.list(filter) };
  } catch (error) {
    return { node, error };
  }
}

function print({ out }: CommandContext, listed: readonly { readonly node: NodeName; readonly record: ParkedRecord }[]): void {
  const rows = listed.map(({ node, record }) => [
    node,
    String(record.id),
    record.parkedAt,
    record.peer,
    record.table,
    operationName(record.op),
    cut(keyText(record.key), KEY_WIDTH),
    String(record.attempts),
    record.code,
    oneLine(record.reason),
  ]);
  if (rows.length === 0) out.line("no parked changes");
  else for (const line of table(["NODE", "ID", "PARKED", "OF", "TABLE", "CHANGE", "KEY", "TRIES", "CODE", "REASON"], rows)) out.line(line);
}
