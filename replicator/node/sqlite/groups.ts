import type { Change } from "../../change/change.ts";
import { Grouping, type GroupLimits } from "../grouping.ts";

const sizeOf = (change: Change): number => change.key.length + (change.old?.length ?? 0) + (change.new?.length ?? 0);

/** Cuts changes into groups within the limits. */
export function* groups(changes: Iterable<Change>, limits: GroupLimits): Generator<readonly Change[]> {
  const grouping = new Grouping(limits);
  for (const change of changes) {
    const group = grouping.add(change, sizeOf(change));
    if (group !== null) yield group;
  }
  if (grouping.rest().length > 0) yield grouping.rest();
}
