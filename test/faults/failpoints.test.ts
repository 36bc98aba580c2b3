import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { FAILPOINTS, type Failpoint } from "../../replicator/change/failpoints.ts";
import { until } from "../helpers/command.ts";
import { random } from "../helpers/random.ts";
import { type Engine, type Side, Trial } from "../helpers/trial.ts";

const FULL = process.env.TOMBOLO_FAULTS !== "smoke";
const SEED = Number(process.env.TOMBOLO_SEED ?? 1);
/** Of all cases, so many are tried in the smoke test. */
const SMOKE = 10;
const HITS = [1, 3];
/** So many times both sides are written to while a process is to die. */
const ROUNDS = 8;
const ROWS = 5;

const DDL = `create table item (id bigint primary key not null, note text);
create table sum (id bigint primary key not null, n bigint);
create table part (id bigint primary key not null, region text);
create table named (id bigint primary key not null, name text unique);
create table both_write (id bigint primary key not null, note text)`;
const TABLES = `
  { name: item, conflict: child_wins },
  { name: sum, conflict: { policy: merge, columns: { n: counter } } },
  { name: part, filter: "region = :region" },
  { name: named, conflict: child_wins },
  { name: both_write, conflict: parent_wins }`;

/** What only happens when an edge begins. */
const BEGINNINGS: { readonly [side in Side]: readonly Failpoint[] } = {
  hub: [
    "target.meet:after",
    "target.start:after",
    "scopes.choose:after",
    "scopes.reached:after",
    "tokens.redeem:after",
    "tokens.rotate:after",
  ],
  edge: [
    "target.meet:after",
    "installation.apply:after",
    "rejoin.renew:after",
    "rejoin.forget:after",
    "edge.credential_drafted",
    "edge.credential_kept",
  ],
};
const ONLY: { readonly [side in Side]: RegExp } = {
  hub: /^(hub\.|tokens\.|scopes\.|target\.start)/,
  edge: /^(edge\.|rejoin\.|installation\.|parked\.noteRefused)/,
};

/** See resync.test.ts. */
const ANEW = /anew|rejoin\.restart/;

interface Case {
  readonly side: Side;
  readonly name: Failpoint;
  readonly hit: number;
  readonly beginning: boolean;
}

const other = (side: Side): Side => (side === "hub" ? "edge" : "hub");

function cases(): Case[] {
  const all = (["hub", "edge"] as const).flatMap((side) => {
    const names = (Object.keys(FAILPOINTS) as Failpoint[]).filter((name) => !ONLY[other(side)].test(name) && !ANEW.test(name));
    const steady = names.filter((name) => !BEGINNINGS[side].includes(name));
    return [
      ...steady.flatMap((name) => HITS.map((hit) => ({ side, name, hit, beginning: false }))),
      ...BEGINNINGS[side].map((name) => ({ side, name, hit: 1, beginning: true })),
    ];
  });
  // what is reached first says most
  if (FULL) return all.sort((a, b) => a.hit - b.hit);
  const { int } = random(SEED);
  return Array.from({ length: SMOKE }, () => all.splice(int(all.length), 1)[0] as Case);
}

/** What the applications have written, and what must come of it: kept by the test, whatever Tombolo says. */
class Books {
  #id = 0;
  #sum = 0;
  readonly #items: string[] = [];
  readonly #parts: { readonly id: number; readonly region: string }[] = [];
  readonly #names: string[] = [];
  /** Rows of the hub that keep an edge's out. */
  #taken: number[] = [];
  #last = "";

  readonly #trial: Trial;

  constructor(trial: Trial) {
    this.#trial = trial;
  }

  /** `beginning`: what an edge that begins anew writes counts like the rows of any new edge, so it only adds rows. */
  async round(beginning: boolean): Promise<void> {
    const { hub, edge } = this.#trial.applications;
    for (const [side, application] of [
      ["edge", edge],
      ["hub", hub],
    ] as const) {
      const ids = Array.from({ length: ROWS }, () => ++this.#id);
      const count = beginning ? "" : "; update sum set n = n + 1";
      await application.write(ids.map((id) => `insert into item values (${id}, '${side}')${count}`).join("; "));
      this.#items.push(...ids.map((id) => `${id} ${side}`));
      if (!beginning) this.#sum += ROWS;
    }
    const [north, south] = [++this.#id, ++this.#id];
    await hub.write(`insert into part values (${north}, 'north'), (${south}, 'south')`);
    this.#parts.push({ id: north, region: "north" }, { id: south, region: "south" });
    if (beginning) return;
    const [theirs, ours] = [++this.#id, ++this.#id];
    // one of the two is set aside, at either side, until the hub's row is gone
    await edge.write(`insert into named values (${theirs}, 'name ${theirs}')`);
    await hub.write(`insert into named values (${ours}, 'name ${theirs}')`);
    this.#names.push(`${theirs} name ${theirs}`);
    this.#taken.push(ours);
    this.#last = `hub ${this.#id}`;
    await edge.write(`update both_write set note = 'edge ${this.#id}'`);
    await hub.write(`update both_write set note = '${this.#last}'`);
  }

  /** Nothing keeps anything out any longer, and nobody writes the same row. */
  async settle(): Promise<void> {
    const { hub } = this.#trial.applications;
    if (this.#taken.length > 0) await hub.write(`delete from named where id in (${this.#taken.join(", ")})`);
    this.#taken = [];
  }

  /** What differs from what must be; nothing in the end. */
  async wrong(tables = /./): Promise<string[]> {
    const { hub, edge } = this.#trial.applications;
    const north = this.#parts.filter(({ region }) => region === "north");
    const expected: [string, string[], string[]][] = [
      ["select id, note from item order by id", this.#items, this.#items],
      ["select n from sum", [String(this.#sum)], [String(this.#sum)]],
      ["select id, region from part order by id", this.#parts.map(line), north.map(line)],
      ["select id, name from named order by id", this.#names, this.#names],
      ["select note from both_write", [this.#last], [this.#last]],
    ];
    const wrong: string[] = [];
    for (const [sql, atHub, atEdge] of expected.filter(([query]) => tables.test(query))) {
      for (const [side, application, rows] of [
        ["hub", hub, atHub],
        ["edge", edge, atEdge],
      ] as const) {
        const found = await application.rows(sql);
        const [missing, more] = [rows.filter((row) => !found.includes(row)), found.filter((row) => !rows.includes(row))];
        if (missing.length + more.length > 0 || found.length !== rows.length)
          wrong.push(`${side}, ${sql}: lacks ${missing.slice(0, 5)}; has ${more.slice(0, 5)} (${found.length} rows of ${rows.length})`);
      }
    }
    return wrong;
  }

  async begin(): Promise<void> {
    await this.#trial.applications.hub.write("insert into sum values (1, 0); insert into both_write values (1, 'first')");
  }
}

const line = ({ id, region }: { readonly id: number; readonly region: string }): string => `${id} ${region}`;

const PAIRS: readonly { readonly [side in Side]: Engine }[] = [
  { hub: "postgres", edge: "sqlite" },
  ...(FULL ? [{ hub: "sqlite", edge: "postgres" } as const] : []),
];

describe.each(PAIRS.map((engines) => [engines.hub, engines.edge, engines] as const))("a %s hub and a %s edge", (_hub, _edge, engines) => {
  let trial: Trial;
  let books: Books;
  let stores = 0;

  const filled = async (): Promise<boolean> => (await trial.applications.edge.rows("select 1 from both_write")).length > 0;
  /** Starts the side again wherever it has died, enrolling where its code is used up. */
  const keepUp = async (): Promise<void> => {
    if (trial.hasEnded("hub")) await trial.begin("hub");
    if (!trial.hasEnded("edge")) return;
    if (/CODE_INVALID/.test(trial.process("edge")?.stderr() ?? "")) await trial.enrol(`store-${stores}`);
    await trial.begin("edge");
  };
  const equal = async (): Promise<void> => {
    let wrong: string[] = [];
    await until(
      "both have all, and only that",
      async () => {
        await keepUp();
        wrong = await books.wrong();
        return wrong.length === 0;
      },
      120_000,
    ).catch((cause: unknown) => {
      throw new Error(`${wrong.join("\n")}\nedge: ${trial.process("edge")?.stderr().slice(-1_500)}`, { cause });
    });
  };

  beforeAll(async () => {
    trial = await Trial.make({ engines, ddl: DDL, tables: TABLES });
    books = new Books(trial);
    await books.begin();
    await trial.begin("hub");
    await trial.enrol(`store-${stores}`);
    await trial.begin("edge");
    await until("the edge is filled", filled, 60_000).catch((cause: unknown) => {
      throw new Error(`the edge is not filled: ${trial.process("edge")?.stderr().slice(-2_000)}`, { cause });
    });
  }, 120_000);
  afterAll(() => trial?.close());

  test.each(cases().map((one) => [one.side, one.name, one.hit, one] as const))(
    "the %s dies at %s, hit %d",
    { timeout: 240_000 },
    async (...[, , , one]) => {
      const { side, name, hit, beginning } = one;
      const die = { TOMBOLO_FAILPOINT: `${name}:${hit}` };
      if (beginning) {
        await trial.end("edge");
        await trial.enrol(`store-${++stores}`);
      }
      await trial.end(side, "SIGTERM");
      await trial.begin(side, die);
      if (trial.hasEnded(other(side))) await trial.begin(other(side));
      for (let round = 0; round < ROUNDS && !trial.hasEnded(side); round++) {
        await books.round(beginning);
        await until(
          "it has died, or has moved the round",
          async () => trial.hasEnded(side) || (await books.wrong(/item/)).length === 0,
          60_000,
        );
      }
      // some of it is only done by an edge that has nothing else to do
      await until("it dies at rest", () => trial.hasEnded(side), 5_000).catch(() => undefined);
      const died = trial.process(side)?.process.signalCode === "SIGKILL";
      if (!died) {
        await trial.end(side, "SIGTERM");
        console.log(`${engines[side]} ${side}: ${name} was not reached ${hit} times`);
      }
      await keepUp();
      await books.settle();
      await equal();
      expect(hit > 1 || died || RARE.has(`${side} ${name}`)).toBe(true);
    },
  );
});

/** Nothing that is done here makes the hub want rows of an edge, or not in every run. */
const RARE = new Set(["edge log.refresh:before", "edge log.refresh:after"]);
