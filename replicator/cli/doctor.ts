import { wantedTables } from "../lifecycle/tree.ts";
import type { Finding, Step } from "../node/installation.ts";
import type { Node } from "../node/node.ts";
import { errorReport } from "../observability/describe-error.ts";
import { findingReport, isError } from "../operations/node-plans.ts";
import type { Topology, TopologyNode } from "../topology/topology.ts";
import { EXIT, type ExitCode, exitCodeOf, worst } from "./exit-codes.ts";
import { reachedNode, withNodes } from "./nodes-of.ts";
import { plural } from "./output.ts";
import { requireTopology } from "./topology-file.ts";
import type { RunVerb } from "./verb.ts";

/** Beyond this `newest_wins` compares times that mean little, and a person should know. */
const CLOCK_TOLERANCE_MS = 1_000;
/** As many steps are named in a finding. */
const NAMED_STEPS = 3;

interface Examined {
  readonly config: TopologyNode;
  readonly findings: readonly Finding[];
  readonly code: ExitCode;
}

export const doctor: RunVerb = async (context) => {
  const topology = await requireTopology(context);
  const examined = await withNodes(context, topology.nodes, (nodes) =>
    Promise.all(
      topology.nodes.map(async (config): Promise<Examined> => {
        try {
          const findings = await examineNode(topology, config, reachedNode(nodes, config.name));
          return { config, findings, code: findings.some(isError) ? EXIT.found : EXIT.done };
        } catch (error) {
          return { config, findings: [failure(error)], code: exitCodeOf(error) };
        }
      }),
    ),
  );
  if (context.json) {
    context.out.json({
      nodes: examined.map(({ config, findings }) => ({ name: config.name, engine: config.type, findings: findings.map(findingReport) })),
    });
  } else print(examined, (text) => context.out.line(text));
  return worst(examined.map(({ code }) => code));
};

async function examineNode(topology: Topology, config: TopologyNode, node: Node): Promise<readonly Finding[]> {
  const examined = await node.installation.examine();
  const plan = await node.installation.plan(wantedTables(topology, config));
  const findings = [...examined, ...plan.findings];
  if (plan.steps.length > 0) {
    findings.push({
      severity: "error",
      code: "NOT_APPLIED",
      message: `the database is not as the topology wants it: ${plural(plan.steps.length, "step")} to do, ${named(plan.steps)}`,
      hint: "Run `tombolo plan` to see them and `tombolo apply` to do them.",
    });
  }
  const status = await node.installation.status().catch((error: unknown) => {
    // without the tables of an installation there is no more to ask
    if (plan.steps.length > 0) return null;
    throw error;
  });
  if (status === null) return findings;
  return [...findings, clock(status.identity.clockOffsetMs), ...marked(status.tables)];
}

/** The first few steps. */
function named(steps: readonly Step[]): string {
  const first = steps.slice(0, NAMED_STEPS).map(({ action, object }) => `${action} ${object}`);
  return first.join(", ") + (steps.length > NAMED_STEPS ? ", …" : "");
}

function clock(offsetMs: number): Finding {
  const message = `the clock is ${Math.abs(offsetMs)} ms ${offsetMs < 0 ? "behind" : "ahead of"} this machine's`;
  if (Math.abs(offsetMs) <= CLOCK_TOLERANCE_MS) return { severity: "ok", code: "CLOCK", message };
  return { severity: "warning", code: "CLOCK_SKEW", message, hint: "Synchronise the clocks (NTP): `newest_wins` compares change times." };
}

function marked(
  tables: readonly { readonly table: Finding["table"]; readonly state: string; readonly reason: string | null }[],
): Finding[] {
  return tables
    .filter(({ state }) => state === "must_compare")
    .map(({ table, reason }) => ({
      severity: "warning",
      code: "TABLE_MUST_COMPARE",
      ...(table === undefined ? {} : { table }),
      message: `${table} may differ from its peers: ${reason ?? "its capture had a hole"}`,
      hint: "Compare the table with its peers and write again what differs.",
    }));
}

function failure(error: unknown): Finding {
  const { code, message, hint } = errorReport(error);
  return hint === null ? { severity: "error", code, message } : { severity: "error", code, message, hint };
}

function print(examined: readonly Examined[], line: (text: string) => void): void {
  for (const { config, findings } of examined) {
    line(`${config.name} (${config.type})`);
    for (const { severity, code, message, hint } of findings) {
      line(`  ${severity.padEnd(7)}  ${message} (${code})`);
      if (hint !== undefined && severity !== "ok") line(`           ${hint}`);
    }
  }
  const all = examined.flatMap(({ findings }) => findings);
  const count = (severity: string) => all.filter((finding) => finding.severity === severity).length;
  line(`${plural(count("error"), "error")}, ${plural(count("warning"), "warning")}`);
}
