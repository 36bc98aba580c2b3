import { TomboloError } from "../change/error.ts";
import type { ConflictRecord, Decision } from "../node/conflict-desk.ts";
import { errorReport } from "../observability/describe-error.ts";
import { conflictReport, shownConflictReport } from "../operations/conflict-report.ts";
import { changedLines } from "./conflict-answer.ts";
import { conflictNamed, type FoundConflict, findConflict, nodesToAsk } from "./conflict-lookup.ts";
import { EXIT, exitCodeOf } from "./exit-codes.ts";
import { withNodes } from "./nodes-of.ts";
import { assignments, oneOf, optionInvalid } from "./option-values.ts";
import { oneLine } from "./row-text.ts";
import { terminalWidth } from "./side-by-side.ts";
import { requireTopology } from "./topology-file.ts";
import { type CommandContext, flag, list, type RunVerb, text, type VerbInput } from "./verb.ts";
import { whoOf } from "./who.ts";

export const conflictsResolve: RunVerb = async (context, input) => {
  const topology = await requireTopology(context);
  const named = conflictNamed(input);
  const decision = decisionOf(input);
  const by = { who: whoOf(input), force: flag(input, "force") };
  return withNodes(context, nodesToAsk(topology, named), async (nodes) => {
    const found = await findConflict(context, nodes, named, { topology, certain: true });
    const { record } = found.shown;
    try {
      const decided = await found.node.conflicts.resolve(record, decision, by);
      answer(context, found, decided);
      return EXIT.done;
    } catch (error) {
      if (!(error instanceof TomboloError) || error.code !== "CONFLICT_ROW_CHANGED") throw error;
      return showChanged(context, found, error);
    }
  });
};

function decisionOf(input: VerbInput): Decision {
  const take = text(input, "take");
  const values: { [column: string]: string | null } = Object.fromEntries(assignments("set", list(input, "set")));
  for (const column of list(input, "setNull")) {
    if (Object.hasOwn(values, column)) throw optionInvalid(`--set-null gives ${column} more than once`, "Give each column once.");
    values[column] = null;
  }
  const given = Object.keys(values).length > 0;
  if ((take !== undefined) === given) {
    throw optionInvalid(
      given ? "--take and --set do not go together" : "nothing is decided",
      "Give --take parent|child|base, or values with --set column=value.",
    );
  }
  return take === undefined ? { set: values } : { take: oneOf("take", take, ["parent", "child", "base"]) };
}

function answer({ json, out }: CommandContext, { node, shown }: FoundConflict, decided: ConflictRecord): void {
  if (json) out.json({ conflict: conflictReport(node.name, decided) });
  else out.line(`${node.name}/${decided.id}: ${oneLine(decided.reason)}`);
  const { status, resolvedBy, resolution, resolvedAt } = shown.record;
  if (status === "resolved")
    out.note(`before, ${oneLine(resolvedBy ?? "someone")} had decided: ${resolution}${resolvedAt === null ? "" : `, ${resolvedAt}`}`);
}

/** Nothing was done: the row as it is now goes to standard output, beside what the conflict left behind. */
async function showChanged({ json, out }: CommandContext, found: FoundConflict, error: TomboloError) {
  const { name, conflicts } = found.node;
  const shown = (await conflicts.show(found.shown.record.id)) ?? found.shown;
  if (json) out.json({ error: errorReport(error), ...shownConflictReport(name, shown) });
  else for (const line of changedLines(shown, terminalWidth())) out.line(line);
  out.note(`tombolo: ${error.message} (${error.code})`);
  if (error.hint !== undefined) out.note(`  ${error.hint}`);
  return exitCodeOf(error);
}
