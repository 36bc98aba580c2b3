import pg from "pg";
import { TomboloError } from "../../../replicator/change/error.ts";
import { HubError } from "../../../replicator/edge/hub-client.ts";
import type { Node } from "../../../replicator/node/node.ts";
import { createPool } from "../../../replicator/node/postgres/connection.ts";
import { oldestNeeded, purge } from "../../../replicator/node/postgres/purge.ts";
import { postgresNode, sqliteNode, type TestNode, testLink } from "../../helpers/nodes.ts";
import { Breakdown, type Trouble, troubled } from "./faults.ts";
import { type Rules, SCHEMA, TREES, testTables, type Variant } from "./tables.ts";

const LARGEST_PASSES = 20;

const CALM: Trouble = { next: () => null, meanwhile: async () => {}, refreshLost: () => false };

/** The databases and the links of a history. */
export class World {
  readonly nodes: TestNode[] = [];
  readonly #variant: Variant;
  readonly #urls = new Map<TestNode, string>();
  readonly #slow = new Map<TestNode, pg.Client>();
  #trouble: Trouble = CALM;
  #links: { parent: number; child: number; settle: () => Promise<number> }[] = [];

  private constructor(variant: Variant) {
    this.#variant = variant;
  }

  static async open(variant: Variant, rules: Rules): Promise<World> {
    const world = new World(variant);
    const tables = testTables(rules, variant);
    const { capture } = variant;
    for (const { name, engine } of TREES[variant.tree]) {
      if (engine === "sqlite") {
        world.nodes.push(await sqliteNode(name, SCHEMA, tables));
        continue;
      }
      const node = await postgresNode(name, SCHEMA, tables, { capture });
      world.nodes.push(node);
      world.#urls.set(node, node.database.url);
    }
    world.decideBy(rules);
    await world.settle();
    return world;
  }

  node(index: number): TestNode {
    return this.nodes[index % this.nodes.length] as TestNode;
  }

  /** Pairs of nodes, parent first. */
  get links(): readonly (readonly [TestNode, TestNode])[] {
    return this.#links.map(({ parent, child }) => [this.node(parent), this.node(child)] as const);
  }

  /** The links begin anew, with other rules. */
  decideBy(rules: Rules): void {
    const tables = testTables(rules, this.#variant);
    const nodes = this.nodes.map(({ node }) => troubled(node, () => this.#trouble));
    const { tree, maxRows } = this.#variant;
    this.#links = TREES[tree].flatMap(({ parent }, child) => {
      if (parent === null) return [];
      const link = testLink(nodes[parent] as Node, nodes[child] as Node, tables, { maxRows });
      const settle = async (): Promise<number> => {
        const { sent, received, parked } = await link.settle();
        return sent + received + parked;
      };
      return [{ parent, child, settle }];
    });
  }

  /** A round of one link, in which something may go wrong. Answers false when the link broke down: then it must begin anew. */
  async sync(link: number, trouble: Trouble = CALM): Promise<boolean> {
    this.#trouble = trouble;
    try {
      await this.#links[link % this.#links.length]?.settle();
      return true;
    } catch (error) {
      if (isBreakdown(error)) return false;
      throw error;
    } finally {
      this.#trouble = CALM;
    }
  }

  /** All links at the same time, as in a running replicator. */
  async syncAll(): Promise<boolean> {
    const done = await Promise.allSettled(this.#links.map(({ settle }) => settle()));
    for (const one of done) if (one.status === "rejected" && !isPassing(one.reason)) throw one.reason;
    return done.every(({ status }) => status === "fulfilled");
  }

  /** Begins a transaction in a Postgres that stays open; ends the one that is. `sql` is what a new one does. */
  async slow(index: number, sql: string): Promise<void> {
    const node = this.node(index);
    const url = this.#urls.get(node);
    const open = this.#slow.get(node);
    if (open !== undefined) {
      this.#slow.delete(node);
      await open.query("commit");
      await open.end();
    } else if (url !== undefined && sql !== "") {
      const client = new pg.Client({ connectionString: url });
      await client.connect();
      this.#slow.set(node, client);
      await client.query(`begin; ${sql}`);
    }
  }

  async purge(index: number): Promise<void> {
    const url = this.#urls.get(this.node(index));
    if (url === undefined) return;
    const pool = createPool({ url, name: "purge", max: 1 });
    // from segment to segment, until nothing can go any more
    for (let turn = 0; turn < 4; turn++) await purge(pool, await oldestNeeded(pool), 0);
    await pool.end();
  }

  async restart(index: number, rules: Rules): Promise<void> {
    await this.node(index).reopen();
    this.decideBy(rules);
  }

  /** Rounds over all links until nothing moves any more. */
  async settle(): Promise<void> {
    for (let pass = 0; pass < LARGEST_PASSES; pass++) {
      let moved = 0;
      for (const { settle } of this.#links) moved += await settle();
      if (moved === 0) return;
    }
    throw new Error("the nodes never come to rest");
  }

  async close(): Promise<void> {
    for (const client of this.#slow.values()) await client.end();
    for (const node of this.nodes) await node.close();
  }
}

/** Over HTTP, an edge is told no more than that the hub could not. */
const isBreakdown = (error: unknown): boolean =>
  error instanceof Breakdown ||
  (error instanceof HubError && error.kind === "retry") ||
  (error instanceof Error && isBreakdown(error.cause));

/** What a running replicator would simply try again. */
const isPassing = (error: unknown): boolean => isBreakdown(error) || (error instanceof TomboloError && error.kind === "retry");
