import type { NodeName } from "../change/names.ts";
import type { ConflictRecord, ShownConflict } from "../node/conflict-desk.ts";
import { versionsOf } from "../operations/conflict-report.ts";
import { keyText, oneLine } from "./row-text.ts";
import { sideBySide } from "./side-by-side.ts";

/** All that is known of a conflict, for a person. */
export function shownLines(node: NodeName, shown: ShownConflict, width: number | null): readonly string[] {
  const { record } = shown;
  const facts: readonly (readonly [string, string])[] = [
    ["detected", record.detectedAt],
    ["parent", `${node}, ${changed(record.parentChangedAt)}`],
    ["child", `${record.childNode}, ${changed(record.childChangedAt)}`],
    ["policy", record.policy],
    ["decided", decided(record)],
    ["reason", record.reason],
    ["contested", record.columns === null ? "the row as a whole" : record.columns.join(", ")],
  ];
  return [
    `conflict ${node}/${record.id}: ${record.kind} in ${record.table}, key ${keyText(record.key)}`,
    ...facts.map(([name, fact]) => `  ${name.padEnd(9)}  ${oneLine(fact)}`),
    "",
    ...sideBySide(versionsOf(shown), width),
  ];
}

/** What the conflict left behind, beside the row that has changed since. */
export const changedLines = ({ record, now }: ShownConflict, width: number | null): readonly string[] =>
  sideBySide(
    [
      { title: "RESULT", row: record.result },
      { title: "NOW", row: now },
    ],
    width,
  );

const changed = (at: string | null): string => (at === null ? "changed at a time that is not known" : `changed ${at}`);

function decided({ status, resolution, resolvedBy, resolvedAt }: ConflictRecord): string {
  if (status === "open") return "open";
  return `${resolution}, by ${resolvedBy ?? "nobody known"}${resolvedAt === null ? "" : `, ${resolvedAt}`}`;
}
