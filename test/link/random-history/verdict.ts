import { isDeepStrictEqual } from "node:util";
import type { TestNode } from "../../helpers/nodes.ts";
import { rowsAt } from "./application.ts";
import { type Ledger, type Rows, rowKey, tokensOf } from "./ledger.ts";
import type { TableName } from "./tables.ts";
import type { World } from "./world.ts";

interface Recorded {
  /** Everything that the product has written down about conflicts and changes set aside, as one text. */
  readonly text: string;
  /** `table id` of the rows that it is about. */
  readonly rows: ReadonlySet<string>;
  /** Those that are parked, by `node of the change@where it waits`. */
  readonly parked: ReadonlyMap<string, ReadonlySet<string>>;
}

/** What is wrong with a world at rest. */
export async function verdictOn(world: World, ledger: Ledger, base: number): Promise<string[]> {
  const problems: string[] = [];
  const recorded = await recordedAt(world.nodes);
  const rows = new Map<TestNode, Rows>();
  for (const node of world.nodes) rows.set(node, await rowsAt(node, base));
  for (const [parent, child] of world.links) {
    const [above, below] = [rows.get(parent) as Rows, rows.get(child) as Rows];
    const waiting = new Set(
      [`${child.node.name}@${parent.node.name}`, `${parent.node.name}@${child.node.name}`].flatMap((way) => [
        ...(recorded.parked.get(way) ?? []),
      ]),
    );
    for (const row of new Set([...above.keys(), ...below.keys()])) {
      if (waiting.has(row) || isDeepStrictEqual(above.get(row), below.get(row))) continue;
      const [a, b] = [above.get(row), below.get(row)].map((image) => JSON.stringify(image));
      problems.push(`${row} differs: ${parent.node.name} has ${a}, ${child.node.name} ${b}`);
    }
  }
  const final = rows.get(world.node(0)) as Rows;
  const found = tokensOf(recorded.text);
  for (const own of rows.values()) for (const token of tokensOf(JSON.stringify([...own.values()]))) found.add(token);
  problems.push(...ledger.lost(found).map((token) => `lost: ${token}`));
  problems.push(...ledger.undone(final, recorded.rows).map((row) => `a deletion came to nothing, and nothing says so: ${row}`));
  for (const [row, { n, top }] of ledger.counters) {
    for (const [node, own] of rows) {
      const image = own.get(row);
      if (image?.n !== String(n)) problems.push(`${row} at ${node.node.name}: n is ${image?.n}, not ${n}`);
      if (image?.top !== String(top)) problems.push(`${row} at ${node.node.name}: top is ${image?.top}, not ${top}`);
    }
  }
  return problems;
}

async function recordedAt(nodes: readonly TestNode[]): Promise<Recorded> {
  const texts: string[] = [];
  const about = new Set<string>();
  const parked = new Map<string, Set<string>>();
  for (const node of nodes) {
    const prefix = node.node.engine === "postgres" ? "tombolo." : "tombolo_";
    const conflicts = await node.rows(
      `select table_name, cast(key as text), cast(parent_row as text), cast(child_row as text), cast(base_row as text) from ${prefix}conflict_history`,
    );
    const waiting = await node.rows(
      `select p.name, c.table_name, cast(c.key as text), cast(c.old as text), cast(c.new as text) from ${prefix}parked_change c join ${prefix}peer p on p.id = c.peer_id`,
    );
    for (const [table, key, ...images] of conflicts) {
      texts.push(...images.map(String));
      about.add(rowOf(table, key));
    }
    for (const [peer, table, key, ...images] of waiting) {
      texts.push(...images.map(String));
      about.add(rowOf(table, key));
      const way = `${peer}@${node.node.name}`;
      parked.set(way, (parked.get(way) ?? new Set()).add(rowOf(table, key)));
    }
  }
  return { text: texts.join("\n"), rows: about, parked };
}

function rowOf(table: string | null | undefined, key: string | null | undefined): string {
  const { id } = JSON.parse(key as string) as { id: string | number | { i: string } };
  return rowKey(table as TableName, typeof id === "object" ? id.i : String(id));
}
