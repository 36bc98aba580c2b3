import type { NodeName } from "../change/names.ts";
import type { ParkedDetails, ParkedObstacle } from "../node/parked-desk.ts";
import { operationName } from "../observability/status-report.ts";
import type { Side } from "../operations/row-versions.ts";
import { plural } from "./output.ts";
import { keyText, oneLine, valueText } from "./row-text.ts";
import { sideBySide } from "./side-by-side.ts";

/** All that is known of a parked change, for a person. */
export function detailsLines(node: NodeName, { record, now, theirs, obstacles }: ParkedDetails, width: number | null): readonly string[] {
  const { peer, role } = record;
  const facts: readonly (readonly [string, string])[] = [
    ["of", `${peer}, which is ${role === "child" ? "a child" : "the parent"} of ${node}; changed ${record.changedAt}`],
    ["parked", `${record.parkedAt}; tried ${plural(record.attempts, "time")}, last ${record.triedAt}`],
    ["because", `${oneLine(record.reason)} (${record.code})`],
    ...obstacles.map((obstacle) => ["in the way", obstacleText(node, obstacle)] as const),
  ];
  const sides: readonly Side[] = [
    { title: "BEFORE", row: record.old },
    { title: "AFTER", row: record.new },
    { title: `AT ${peer.toUpperCase()}`, row: theirs },
    { title: `AT ${node.toUpperCase()}`, row: now },
    ...obstacles.filter(({ kind }) => kind === "taken").map(({ row }) => ({ title: "IN THE WAY", row })),
  ];
  return [
    `parked change ${node}/${record.id}: ${operationName(record.op)} in ${record.table}, key ${keyText(record.key)}`,
    ...facts.map(([name, fact]) => `  ${name.padEnd(10)}  ${fact}`),
    "",
    ...sideBySide(sides, width),
  ];
}

function obstacleText(node: NodeName, { kind, constraint, columns, table, row, parked }: ParkedObstacle): string {
  const rule = `${constraint} (${columns.join(", ")})`;
  const known = Object.entries(row).map(([column, value]) => `${column} = ${valueText(value)}`);
  if (kind === "missing") {
    const coming = parked === null ? "" : `; parked change ${node}/${parked} would bring it`;
    return `${rule} refers to a row of ${table} that is not there: ${known.join(", ")}${coming}`;
  }
  return kind === "taken"
    ? `${rule} is taken by a row of ${table}: ${known.join(", ")}`
    : `a row of ${table} refers to it by ${rule}: ${known.join(", ")}`;
}
