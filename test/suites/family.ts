import { expect } from "vitest";
import { conflictHistory, type RecordedConflict } from "../helpers/history.ts";
import { postgresNode, sqliteNode, type TestNode, type TestTable, testLink } from "../helpers/nodes.ts";

export type Engine = "postgres" | "sqlite";

export interface Member {
  readonly name: string;
  readonly engine: Engine;
  /** Its schema, where it is not the family's. */
  readonly schema?: string;
  /** The member that it hangs on; the first has none. */
  readonly under?: string;
}

/** Some nodes at rest, in which a suite states its facts, each about rows of its own. */
export class Family {
  readonly #nodes = new Map<string, TestNode>();
  readonly #links: { readonly settle: () => Promise<{ sent: number; received: number; parked: number }> }[] = [];
  readonly #known = new Map<string, number>();

  private constructor() {}

  static async of(
    members: readonly Member[],
    options: { readonly schema: string; readonly tables: readonly TestTable[] },
  ): Promise<Family> {
    const family = new Family();
    for (const { name, engine, under, schema = options.schema } of members) {
      const node =
        engine === "postgres" ? await postgresNode(name, schema, options.tables) : await sqliteNode(name, schema, options.tables);
      family.#nodes.set(name, node);
      if (under !== undefined) family.#links.push(testLink(family.node(under).node, node.node, options.tables));
    }
    await family.settle();
    return family;
  }

  node(name: string): TestNode {
    const node = this.#nodes.get(name);
    if (node === undefined) throw new Error(`no node ${name}`);
    return node;
  }

  /** Each statement as a transaction of its own, later than all before by every node's clock: that of SQLite counts milliseconds. */
  async at(name: string, ...statements: readonly string[]): Promise<void> {
    for (const sql of statements) {
      const before = Date.now();
      while (Date.now() < before + 2) await new Promise(setImmediate);
      await this.node(name).write(sql);
    }
  }

  /** Rounds over all links until nothing moves any more; what is parked stays parked. */
  async settle(): Promise<void> {
    for (let pass = 0; pass < 12; pass++) {
      let moved = 0;
      for (const link of this.#links) {
        const { sent, received, parked } = await link.settle();
        moved += sent + received + parked;
      }
      if (moved === 0) return;
    }
    throw new Error("the nodes never come to rest");
  }

  /** The same rows at every node, as each of them answers them. */
  async everywhere(sql: string): Promise<string[]> {
    const [first, ...others] = await Promise.all([...this.#nodes.values()].map((node) => this.#rows(node, sql)));
    for (const rows of others) expect(rows).toEqual(first);
    return first ?? [];
  }

  async rows(name: string, sql: string): Promise<string[]> {
    return this.#rows(this.node(name), sql);
  }

  async #rows(node: TestNode, sql: string): Promise<string[]> {
    return (await node.rows(sql)).map((row) => row.map((value) => value ?? "-").join("|"));
  }

  /** What a node has written into its history since it was last asked: `kind resolution`, and the images. */
  async news(name: string): Promise<RecordedConflict[]> {
    const node = this.node(name);
    const all = await conflictHistory(node, node.node.engine);
    const before = this.#known.get(name) ?? 0;
    this.#known.set(name, all.length);
    return all.slice(before);
  }

  /** `kind resolution` of what is new in a node's history. */
  async decided(name: string): Promise<string[]> {
    return (await this.news(name)).map(({ kind, resolution }) => `${kind} ${resolution}`);
  }

  /** What waits at a node of the rows with keys from `from` on, ten of them: `table op`, in order of the table's name. */
  async waiting(name: string, from: number): Promise<string[]> {
    const { node, rows } = this.node(name);
    const prefix = node.engine === "postgres" ? "tombolo." : "tombolo_";
    const all = await rows(`select table_name, op, cast(key as text) from ${prefix}parked_change order by table_name, id`);
    const idOf = (key: string): number => {
      const [id = ""] = Object.values(JSON.parse(key) as { [column: string]: string | { i: string } });
      return Number(typeof id === "object" ? id.i : id);
    };
    return all.filter(([, , key]) => Math.floor((idOf(key as string) - from) / 10) === 0).map(([table, op]) => `${table} ${op}`);
  }

  async close(): Promise<void> {
    for (const node of this.#nodes.values()) await node.close();
  }
}

/** Each engine as the one whose database decides, over the other. */
export const PAIRS: readonly (readonly [parent: Engine, child: Engine])[] = [
  ["postgres", "sqlite"],
  ["sqlite", "postgres"],
];
