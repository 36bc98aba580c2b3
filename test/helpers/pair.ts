import { afterEach, expect } from "vitest";
import type { LinkCounts } from "../../replicator/link/link.ts";
import { postgresNode, sqliteNode, type TestNode, type TestTable, testLink } from "./nodes.ts";

export type Engine = "postgres" | "sqlite";

/** A parent and a child of either engine. */
export const PAIRS: readonly (readonly [Engine, Engine])[] = [
  ["postgres", "postgres"],
  ["postgres", "sqlite"],
  ["sqlite", "postgres"],
  ["sqlite", "sqlite"],
];

/** A schema for either engine: `{pg}` and `{lite}` parts are left out of the other's. */
export interface Schema {
  readonly postgres: string;
  readonly sqlite: string;
}

/** The same text for both engines, but for `bigint primary key`, which is SQLite's rowid. */
export const both = (ddl: string): Schema => ({ postgres: ddl, sqlite: ddl.replaceAll("bigint primary key", "integer primary key") });

export interface ParkedLine {
  readonly table: string;
  readonly op: string;
  readonly code: string;
  readonly reason: string;
}

/** A parent and a child at rest, and what a test asks of them. */
export interface Pair {
  readonly parent: TestNode;
  readonly child: TestNode;
  readonly link: ReturnType<typeof testLink>;
  /** Settles the link; answers what moved. */
  settle(): Promise<LinkCounts>;
  parked(at: "parent" | "child"): Promise<ParkedLine[]>;
  history(columns: string): Promise<(string | null)[][]>;
  /** Both hold the same rows; answers them. */
  expectSame(select: string): Promise<(string | null)[][]>;
}

const open: TestNode[] = [];

/** Closes the nodes of every test of the file that calls it. */
export function closeAfterEach(): void {
  afterEach(async () => {
    for (const node of open.splice(0)) await node.close();
  });
}

export async function nodeOf(
  engine: Engine,
  name: string,
  schema: Schema,
  tables: readonly TestTable[],
  options: { readonly bareRole?: boolean } = {},
): Promise<TestNode> {
  const node =
    engine === "postgres" ? await postgresNode(name, schema.postgres, tables, options) : await sqliteNode(name, schema.sqlite, tables);
  open.push(node);
  return node;
}

export const parkedTable = (node: TestNode): string =>
  node.node.engine === "postgres" ? "tombolo.parked_change" : "tombolo_parked_change";
export const historyTable = (node: TestNode): string =>
  node.node.engine === "postgres" ? "tombolo.conflict_history" : "tombolo_conflict_history";

export async function parkedAt(node: TestNode): Promise<ParkedLine[]> {
  const rows = await node.rows(`select table_name, op, code, reason from ${parkedTable(node)} order by id`);
  return rows.map(([table, op, code, reason]) => ({ table, op, code, reason }) as ParkedLine);
}

export async function pairOf(
  [above, below]: readonly [Engine, Engine],
  schema: Schema,
  tables: readonly TestTable[],
  options: { readonly bareRole?: boolean; readonly childSchema?: Schema; readonly maxRows?: number } = {},
): Promise<Pair> {
  const parent = await nodeOf(above, "hub", schema, tables, options);
  const child = await nodeOf(below, "store", options.childSchema ?? schema, tables, options);
  const link = testLink(parent.node, child.node, tables, options.maxRows === undefined ? {} : { maxRows: options.maxRows });
  await link.settle();
  return {
    parent,
    child,
    link,
    settle: () => link.settle(),
    parked: (at) => parkedAt(at === "parent" ? parent : child),
    history: (columns) => parent.rows(`select ${columns} from ${historyTable(parent)} order by id`),
    async expectSame(select) {
      const rows = await parent.rows(select);
      expect(await child.rows(select)).toEqual(rows);
      return rows;
    },
  };
}
