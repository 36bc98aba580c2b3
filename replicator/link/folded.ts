import type { Change } from "../change/change.ts";
import { foldGroup, partsOf } from "../change/fold.ts";
import type { Part } from "../change/packet.ts";

/** By the group itself: readers that share what was read are given the very same arrays. */
const known = new WeakMap<readonly Change[], Map<string, readonly Part[]>>();

/** The parts of a packet that a group of the log comes to. Folded once for all links that carry the same group in the same way; so are the bytes of the parts. */
export function foldedParts(
  group: readonly Change[],
  options: { readonly oneWay: boolean; readonly wholeImages: ReadonlySet<number> },
): readonly Part[] {
  const how = `${options.oneWay} ${[...options.wholeImages].join()}`;
  const folded = known.get(group)?.get(how);
  if (folded !== undefined) return folded;
  const parts = partsOf(foldGroup(group, options));
  known.set(group, (known.get(group) ?? new Map<string, readonly Part[]>()).set(how, parts));
  return parts;
}
