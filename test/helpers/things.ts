import type { TestNode } from "./nodes.ts";

/** Rows `from` to `to` of a table `product` of ids and names; with a region, every other one in the north. */
export function addThings(
  node: TestNode,
  { from = 1, to, regions = false }: { readonly from?: number; readonly to: number; readonly regions?: boolean },
): Promise<void> {
  const values = `i, 'thing ' || i${regions ? ", case when i % 2 = 0 then 'north' else 'south' end" : ""}`;
  return node.write(
    node.node.engine === "postgres"
      ? `insert into product select ${values} from generate_series(${from}, ${to}) as i`
      : `insert into product with recursive n(i) as (select ${from} union all select i + 1 from n where i < ${to}) select ${values} from n`,
  );
}
