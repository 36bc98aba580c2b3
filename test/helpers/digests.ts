import { tableName } from "../../replicator/change/names.ts";
import { compareTable, type RowDifference } from "../../replicator/node/digest-compare.ts";
import { type DigestPair, digestPair } from "../../replicator/node/digest-pair.ts";
import type { Node } from "../../replicator/node/node.ts";

/** How a table of two nodes is compared, as reconcile does it. */
export async function pairFor(parent: Node, child: Node, table: string): Promise<DigestPair> {
  const [[above], [below]] = await Promise.all([parent.log.shapes([tableName(table)]), child.log.shapes([tableName(table)])]);
  return digestPair(above!, below!, { filter: null, near: true });
}

/** Compares tables of two nodes as they are now. */
export async function differences(
  parent: Node,
  child: Node,
  tables: readonly string[],
): Promise<{ readonly rows: number; readonly found: readonly RowDifference[] }[]> {
  const pairs = await Promise.all(tables.map((table) => pairFor(parent, child, table)));
  const above = await parent.digests.open(pairs.map((pair) => pair.parent));
  const below = await child.digests.open(pairs.map((pair) => pair.child));
  try {
    const all = [];
    for (const [table, pair] of pairs.entries()) {
      let rows = 0;
      const found: RowDifference[] = [];
      for await (const step of compareTable({ parent: above, child: below, table, order: pair.parent.order })) {
        rows += step.rows;
        found.push(...step.differences);
      }
      all.push({ rows, found });
    }
    return all;
  } finally {
    await above.close();
    await below.close();
  }
}
