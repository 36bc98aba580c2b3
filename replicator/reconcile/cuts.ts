import type { Tick } from "../node/change-log.ts";
import type { DigestSnapshot, KeyText } from "../node/digest.ts";
import type { ComparedLink } from "./compared-link.ts";
import type { ComparedTable } from "./compared-tables.ts";

/** The cuts that two nodes are compared at. The parent's was made first. */
export interface Cuts {
  readonly parent: Tick;
  readonly child: Tick;
}

/** The tables of both nodes, each as at its node's cut. */
export interface Opened {
  readonly parent: DigestSnapshot;
  readonly child: DigestSnapshot;
}

/** Opens both nodes, the parent first, and closes them whatever happens. */
export async function atCuts<T>(
  { parent, child }: ComparedLink,
  tables: readonly Pick<ComparedTable, "pair">[],
  work: (opened: Opened) => Promise<T>,
  /** By table, those whose rows are asked for. */
  keys?: readonly (readonly KeyText[])[],
): Promise<T> {
  const above = await parent.digests.open(
    tables.map(({ pair }) => pair.parent),
    keys,
  );
  let below: DigestSnapshot | undefined;
  try {
    below = await child.digests.open(tables.map(({ pair }) => pair.child));
    return await work({ parent: above, child: below });
  } finally {
    await Promise.allSettled([above.close(), below?.close()]);
  }
}
