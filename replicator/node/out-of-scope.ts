import type { Row } from "../change/value.ts";
import type { Clash, Verdict } from "../change/verdict.ts";

/**
 * The verdict about a child's change of a row that the child is not given, or would not be given afterwards: the parent's row stays what it is, the
 * change goes into the history, and the child is sent its row, which is no row where it is not given one.
 */
export function outOfScope(clash: Pick<Clash, "parent" | "childNode" | "table">): Verdict {
  const reason = `outside of the rows that ${clash.childNode} is given (filter of ${clash.table})`;
  return { result: clash.parent as Row | null, conflict: { kind: "filter", resolution: "parent", reason }, refresh: true };
}
