import type pg from "pg";
import type { ConflictRule } from "../../replicator/change/verdict.ts";
import type { Node } from "../../replicator/node/node.ts";
import { createPool } from "../../replicator/node/postgres/connection.ts";
import { oldestNeeded, purge } from "../../replicator/node/postgres/purge.ts";
import { postgresNode, sqliteNode, type TestNode, testLink } from "./nodes.ts";
import { type Recorded, RowOracle, type SeenRow } from "./row-oracle.ts";

/**
 * Many small histories at once, in one tree of a hub, a middle node and a leaf: each key has its own order of writes, one in each slot, and
 * all of them share what is exchanged between the slots.
 */
export type Engine = "postgres" | "sqlite";
export type TreeLink = "upper" | "lower";

const NAMES = ["hub", "middle", "leaf"] as const;
const PLACES = [0, 1, 2] as const;

/** Who puts the row (creates or updates it), deletes it, or deletes and inserts it in one statement or transaction. */
export interface Write {
  readonly node: (typeof PLACES)[number];
  readonly op: "put" | "delete" | "replace";
}

export interface Case {
  readonly key: string;
  /** Whether all nodes have the row before. */
  readonly exists: boolean;
  /** Null where nobody writes in a slot. */
  readonly writes: readonly (Write | null)[];
}

/** What is exchanged between two slots; the writes of the later one may fall between the last link's way up and its way down. */
export interface Gap {
  readonly links: readonly TreeLink[];
  readonly inside: boolean;
}

const links = (...orders: TreeLink[][]): Gap[] => orders.map((order) => ({ links: order, inside: false }));
/** Every order of the two links, nothing at all, and writes in the middle of an exchange. */
export const GAPS: readonly Gap[] = [
  ...links([], ["upper"], ["lower"], ["upper", "lower"], ["lower", "upper"]),
  { links: ["upper"], inside: true },
  { links: ["lower"], inside: true },
];

/** Every sequence of `length` out of `choices`. */
export function sequences<T>(choices: readonly T[], length: number): T[][] {
  let all: T[][] = [[]];
  for (let at = 0; at < length; at++) all = all.flatMap((sequence) => choices.map((choice) => [...sequence, choice]));
  return all;
}

export const writesOf = (...ops: Write["op"][]): Write[] => PLACES.flatMap((node) => ops.map((op) => ({ node, op })));

/** Every order of `length` of the writes, with and without a row to begin with; but for those that begin with deleting nothing. */
export const everyOrder = (writes: readonly Write[], length: number): Case[] =>
  [true, false].flatMap((exists) =>
    sequences(writes, length).flatMap((order, at) =>
      !exists && order[0]?.op === "delete" ? [] : [{ key: `${exists ? "e" : "n"}${at}`, exists, writes: order }],
    ),
  );

export interface Run {
  readonly engines: readonly [Engine, Engine, Engine];
  readonly rule: Partial<ConflictRule>;
  readonly cases: readonly Case[];
  /** One less than there are slots. */
  readonly gaps: readonly Gap[];
  /** Between the slots more than a year goes by, and everything is purged that nobody needs. */
  readonly aging?: boolean;
}

export interface Played {
  /** Nodes that differ in the end, writes that are unaccounted for, policies that could not do what they say. */
  readonly wrong: readonly string[];
  readonly writes: number;
  /** By key. */
  readonly rows: ReadonlyMap<string, SeenRow>;
}

export async function play(run: Run): Promise<Played> {
  const tree = await Tree.open(run);
  try {
    const creation = run.cases.filter(({ exists }) => exists).map(({ key }) => ({ key, write: { node: 0, op: "put" } as const }));
    await tree.write(creation, 0);
    await tree.settle();
    const slot = (at: number) => () =>
      tree.write(
        run.cases.flatMap(({ key, writes }) => (writes[at] ? [{ key, write: writes[at] }] : [])),
        at + 1,
      );
    await slot(0)();
    for (const [at, gap] of run.gaps.entries()) {
      if (run.aging === true) await tree.age();
      await tree.exchange(gap, slot(at + 1));
    }
    if (run.aging === true) await tree.age();
    await tree.settle();
    return { wrong: await tree.judged(run.cases), writes: tree.oracle.size, rows: await tree.rows(0) };
  } finally {
    await tree.close();
  }
}

class Tree {
  readonly oracle = new RowOracle();
  readonly #nodes: readonly TestNode[];
  readonly #engines: readonly Engine[];
  /** Of the Postgres nodes. */
  readonly #pools: readonly (pg.Pool | null)[];
  readonly #links: { readonly [link in TreeLink]: { settle(): Promise<unknown> } };
  /** Done once, when a link has gone up and is about to go down. */
  readonly #midway: { [link in TreeLink]: (() => Promise<void>) | undefined } = { upper: undefined, lower: undefined };
  #filler = 0;

  private constructor(nodes: readonly (TestNode & { readonly database?: { readonly url: string } })[], { engines, rule }: Run) {
    const [hub, middle, leaf] = nodes as [TestNode, TestNode, TestNode];
    const tables = tablesOf(rule);
    this.#nodes = nodes;
    this.#engines = engines;
    this.#pools = nodes.map(({ database }) => (database === undefined ? null : createPool({ url: database.url })));
    this.#links = {
      upper: testLink(this.#watched(hub.node, 0, "upper"), this.#watched(middle.node, 1), tables),
      lower: testLink(this.#watched(middle.node, 1, "lower"), this.#watched(leaf.node, 2), tables),
    };
  }

  static async open(run: Run): Promise<Tree> {
    const tables = tablesOf(run.rule);
    const schema = tables.map(({ name }) => `create table ${name} (id text primary key not null, a text, b text)`).join(";");
    const nodes = await Promise.all(
      run.engines.map((engine, at) => (engine === "postgres" ? postgresNode : sqliteNode)(NAMES[at] as string, schema, tables)),
    );
    return new Tree(nodes, run);
  }

  /**
   * `below`: the link of which it is the parent. That goes up, then seals its parent's log to go down: the moment for `#midway`. A SQLite log is
   * purged whenever something is acknowledged, a Postgres log every now and then: here always, too.
   */
  #watched(node: Node, place: number, below?: TreeLink): Node {
    const { log } = node;
    const tick = async () => {
      const work = below && this.#midway[below];
      if (below !== undefined) this.#midway[below] = undefined;
      await work?.();
      return log.tick();
    };
    return {
      ...node,
      log: {
        reads: node.log.reads,
        lives: node.log.lives,
        tick,
        news: (...request) => log.news(...request),
        read: (request) => log.read(request),
        shapes: (names) => log.shapes(names),
        acknowledge: async (...told) => {
          await log.acknowledge(...told);
          const pool = this.#pools[place];
          // leaves the segment that was written, then empties it
          for (let time = 0; pool && time < 2; time++) await purge(pool, await oldestNeeded(pool), 0);
        },
        refresh: (...rows) => log.refresh(...rows),
        purge: () => log.purge(),
        retain: (limits) => log.retain(limits),
      },
    };
  }

  async exchange({ links: order, inside }: Gap, next: () => Promise<void>): Promise<void> {
    for (const [at, link] of order.entries()) {
      if (inside && at === order.length - 1) this.#midway[link] = next;
      await this.#links[link].settle();
    }
    if (!inside) await next();
  }

  async settle(): Promise<void> {
    for (let round = 0; round < 3; round++) for (const link of ["lower", "upper"] as const) await this.#links[link].settle();
  }

  /** All that is kept for a time is older than that; the upper nodes go on working meanwhile, and the leaf is away. */
  async age(): Promise<void> {
    for (const pool of this.#pools) await pool?.query("update tombolo.tick set sealed_at = sealed_at - interval '400 days'");
    for (const [at, node] of this.#nodes.entries()) {
      const year = "'2001-01-01T00:00:00.000Z'";
      if (this.#engines[at] === "sqlite")
        await node.write(`update tombolo_hold set made_at = ${year}; update tombolo_tick set sealed_at = ${year}`);
    }
    for (let round = 0; round < 3; round++) {
      this.#filler += 1;
      await this.#nodes[0]?.write(`insert into filler (id, a) values ('hub ${this.#filler}', 'x')`);
      await this.#nodes[1]?.write(`insert into filler (id, a) values ('middle ${this.#filler}', 'x')`);
      await this.#links.upper.settle();
    }
  }

  /** Each node writes what it is to write, by what it sees. */
  async write(writes: readonly { readonly key: string; readonly write: Write }[], slot: number): Promise<void> {
    for (const place of PLACES) {
      const own = writes.filter(({ write }) => write.node === place);
      if (own.length === 0) continue;
      const seen = await this.rows(place);
      const token = (key: string): string => `${key}.${slot}`;
      const row = (key: string): string => `('${key}', '${token(key)}', '${token(key)}')`;
      const rows = (op: Write["op"]): string[] => own.filter(({ write }) => write.op === op).map(({ key }) => row(key));
      const keys = (op: Write["op"]): string[] => own.filter(({ write }) => write.op === op).map(({ key }) => `'${key}'`);
      const statements: string[] = [];
      const add = (verb: string, into: readonly string[], rest = ""): void => {
        if (into.length > 0) statements.push(`${verb} ${rest === ")" ? "(" : ""}${into.join(", ")}${rest}`);
      };
      add("insert into item (id, a, b) values", rows("put"), " on conflict (id) do update set a = excluded.a");
      if (this.#engines[place] === "sqlite") add("insert or replace into item (id, a, b) values", rows("replace"));
      else {
        add("delete from item where id in", keys("replace"), ")");
        add("insert into item (id, a, b) values", rows("replace"));
      }
      add("delete from item where id in", keys("delete"), ")");
      await this.#nodes[place]?.write(statements.join("; "));
      for (const { key, write } of own) this.oracle[write.op](key, token(key), seen.get(key) ?? null);
    }
  }

  async judged(cases: readonly Case[]): Promise<string[]> {
    const byKey = new Map(cases.map((one) => [one.key, one]));
    const [hub, ...others] = (await Promise.all(PLACES.map((place) => this.rows(place)))) as [Rows, ...Rows[]];
    const recorded = await this.#recorded();
    const wrong: string[] = [];
    for (const [at, rows] of others.entries()) {
      for (const key of new Set([...hub.keys(), ...rows.keys()])) {
        const [here, there] = [JSON.stringify(rows.get(key)), JSON.stringify(hub.get(key))];
        if (here !== there) wrong.push(`${NAMES[at + 1]} has ${here} where the hub has ${there} (${told(byKey.get(key))})`);
      }
    }
    for (const { key, what } of this.oracle.lost(hub, recorded)) wrong.push(`${what} is nowhere (${told(byKey.get(key))})`);
    for (const [key, { images }] of recorded)
      if (/not known as a whole|parked/.test(images)) wrong.push(`${images} (${told(byKey.get(key))})`);
    return wrong;
  }

  async rows(place: number): Promise<Rows> {
    const rows = (await this.#nodes[place]?.rows("select id, a, b from item")) ?? [];
    return new Map(rows.map(([id, a = null, b = null]) => [id as string, { a, b }]));
  }

  /** What all nodes have recorded, by key. */
  async #recorded(): Promise<Map<string, Recorded>> {
    const all = new Map<string, Recorded>();
    for (const [at, node] of this.#nodes.entries()) {
      const prefix = this.#engines[at] === "postgres" ? "tombolo." : "tombolo_";
      const text = (column: string): string => `coalesce(cast(${column} as text), 'null')`;
      const found = [
        ...(await node.rows(
          `select key, ${text("parent_row")}, ${text("child_row")}, ${text("base_row")}, reason from ${prefix}conflict_history`,
        )),
        ...(await node.rows(`select key, ${text("old")}, ${text("new")}, '', 'parked' from ${prefix}parked_change`)),
      ];
      for (const [key, first, second, ...more] of found) {
        const { id } = (typeof key === "string" ? JSON.parse(key) : key) as { id: string };
        const known = all.get(id);
        const deletion = first === "null" || second === "null" || known?.deletion === true;
        all.set(id, { images: [known?.images, first, second, ...more].join(" "), deletion });
      }
    }
    return all;
  }

  async close(): Promise<void> {
    for (const pool of this.#pools) await pool?.end();
    for (const node of this.#nodes) await node.close();
  }
}

type Rows = Map<string, SeenRow>;

const tablesOf = (rule: Partial<ConflictRule>) => [{ name: "item", ...rule }, { name: "filler" }];

const told = (one: Case | undefined): string =>
  `${one?.exists ? "a row; " : ""}${one?.writes.map((write) => (write === null ? "-" : `${NAMES[write.node]} ${write.op}`)).join(", ")}`;
