import type { Change } from "../../change/change.ts";

export interface GroupLimits {
  readonly maxRows: number;
  readonly maxBytes: number;
}

export const sizeOf = (change: Change): number => change.key.length + (change.old?.length ?? 0) + (change.new?.length ?? 0);

/** Cuts changes into groups within the limits; a single change may be larger than `maxBytes`. */
export function* groups(changes: Iterable<Change>, limits: GroupLimits): Generator<readonly Change[]> {
  let group: Change[] = [];
  let bytes = 0;
  for (const change of changes) {
    const size = sizeOf(change);
    if (group.length > 0 && (group.length >= limits.maxRows || bytes + size > limits.maxBytes)) {
      yield group;
      group = [];
      bytes = 0;
    }
    group.push(change);
    bytes += size;
  }
  if (group.length > 0) yield group;
}
