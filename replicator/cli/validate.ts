import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import type { TableName } from "../change/names.ts";
import type { Finding } from "../node/installation.ts";
import { errorReport } from "../observability/describe-error.ts";
import { planNodes } from "../operations/node-plans.ts";
import { loadTopology } from "../topology/load.ts";
import { readSource } from "../topology/source.ts";
import type { Problem, Topology } from "../topology/topology.ts";
import { EXIT, type ExitCode } from "./exit-codes.ts";
import { planExit } from "./node-plans.ts";
import { withNodes } from "./nodes-of.ts";
import { plural } from "./output.ts";
import { type CommandContext, flag, type RunVerb } from "./verb.ts";

/** A problem of the file, or of a node (then without a place when no table of the file is meant). */
interface Issue {
  readonly severity: "error" | "warning";
  readonly code: string;
  readonly file: string;
  readonly line: number | null;
  readonly column: number | null;
  readonly node: string | null;
  readonly table: string | null;
  readonly message: string;
  readonly hint: string | null;
}

export const validate: RunVerb = async (context, input) => {
  const loaded = await loadTopology(context.file, context.env);
  if ("problems" in loaded) return answer(context, loaded.problems.map(fileIssue), EXIT.usage);
  const { topology } = loaded;
  if (flag(input, "offline")) return answer(context, [], EXIT.done);
  const place = await tablePlaces(topology);
  return withNodes(context, topology.nodes, async (nodes) => {
    const plans = await planNodes(topology, topology.nodes, nodes);
    const issues = plans.flatMap((planned) => {
      const node = planned.config.name;
      if ("error" in planned) return [connectIssue(topology, node, planned.error)];
      return planned.plan.findings.flatMap((finding) => findingIssue(topology, node, finding, place));
    });
    return answer(context, issues, planExit(plans));
  });
};

function answer({ out, json, file }: CommandContext, issues: readonly Issue[], code: ExitCode): ExitCode {
  const errors = issues.filter(({ severity }) => severity === "error");
  if (json) {
    out.json({ valid: errors.length === 0, problems: issues });
    return code;
  }
  for (const issue of issues) for (const line of issueLines(issue)) out.line(line);
  if (errors.length === 0) out.line(`${file}: valid${issues.length === 0 ? "" : `, ${plural(issues.length, "warning")}`}`);
  else
    out.line(
      `${plural(errors.length, "problem")}${issues.length > errors.length ? `, ${plural(issues.length - errors.length, "warning")}` : ""}`,
    );
  return code;
}

function issueLines({ file, line, column, severity, code, message, hint, node }: Issue): readonly string[] {
  const where = line === null ? file : `${file}:${line}:${column}`;
  const text = `${severity === "warning" ? "warning: " : ""}${node === null ? "" : `node ${node}: `}${message}`;
  return [`${where}: ${code}: ${text}`, ...(hint === null ? [] : [`  ${hint}`])];
}

function fileIssue({ file, line, column, code, message, hint }: Problem): Issue {
  return { severity: "error", code, file, line, column, node: null, table: null, message, hint: hint === "" ? null : hint };
}

function connectIssue(topology: Topology, node: string, error: unknown): Issue {
  return { severity: "error", file: topology.file, line: null, column: null, node, table: null, ...errorReport(error) };
}

function findingIssue(topology: Topology, node: string, finding: Finding, places: ReadonlyMap<TableName, Position>): readonly Issue[] {
  const { severity, code, table, message, hint } = finding;
  if (severity === "ok") return [];
  const { line, column } = (table === undefined ? undefined : places.get(table)) ?? { line: null, column: null };
  return [{ severity, code, file: topology.file, line, column, node, table: table ?? null, message, hint: hint ?? null }];
}

type Position = { readonly line: number; readonly column: number };

/** Where the file names each table. */
async function tablePlaces(topology: Topology): Promise<ReadonlyMap<TableName, Position>> {
  const source = readSource(await readFile(resolve(topology.file), "utf8"), { env: {}, readFile: () => "" });
  const entries = topology.channels.flatMap((channel, c) =>
    channel.tables.map(({ name }, t) => [name, source.place(["channels", c, "tables", t, "name"])] as const),
  );
  return new Map(entries);
}
