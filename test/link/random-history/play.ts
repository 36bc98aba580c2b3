import { TomboloError } from "../../../replicator/change/error.ts";
import type { Taken } from "../../../replicator/node/conflict-desk.ts";
import type { TestNode } from "../../helpers/nodes.ts";
import { nextToken, perform, rowsAt, type Write } from "./application.ts";
import type { Trouble } from "./faults.ts";
import { Ledger } from "./ledger.ts";
import type { Fault, History, Step } from "./steps.ts";
import type { Rules } from "./tables.ts";
import { verdictOn } from "./verdict.ts";
import type { World } from "./world.ts";

/** Plays a history on a world at rest, in rows of its own from `base` on, and answers everything that is wrong afterwards. */
export async function play(world: World, history: History, base: number): Promise<string[]> {
  const ledger = new Ledger();
  let rules: Rules = history.rules;
  world.decideBy(rules);
  const write = (node: number, writes: readonly Write[]): Promise<void> => perform(writes, world.node(node), ledger, base);
  await begin(world, ledger, base);
  const player: { readonly [kind in Step["kind"]]: (step: Step & { readonly kind: kind }) => Promise<unknown> } = {
    write: (step) => write(step.node, [step]),
    together: (step) => write(step.node, step.writes),
    decide: (step) => seen(world.node(step.node), "a decision", () => decide(world.node(step.node), step, base)),
    slow: (step) => slow(step.node),
    purge: (step) => world.purge(step.node),
    restart: (step) => world.restart(step.node, rules),
    rules: async ({ table, deciding }) => {
      rules = { ...rules, [table]: deciding };
      world.decideBy(rules);
    },
    sync: async ({ link, fault }) => {
      if (!(await world.sync(link, fault === null ? undefined : troubleOf(fault, write)))) world.decideBy(rules);
    },
    "sync all": async () => {
      if (!(await world.syncAll())) world.decideBy(rules);
    },
  };
  /** Something else than an application's statement that changes rows for someone who sees them. */
  async function seen(node: TestNode, what: string, work: () => Promise<void>): Promise<void> {
    const before = await rowsAt(node, base);
    await work();
    ledger.committed(what, node.node.name, before, await rowsAt(node, base));
  }
  let slowRows = 0;
  const slow = (node: number): Promise<void> => {
    const sql = slowRows < 10 ? `insert into slow values (${base + slowRows}, '${nextToken()}')` : "";
    slowRows += 1;
    return seen(world.node(node), "a slow transaction", () => world.slow(node, sql));
  };
  for (const step of history.steps) await (player[step.kind] as (step: Step) => Promise<unknown>)(step);
  // what is still open ends now
  for (const node of [0, 1, 2]) await seen(world.node(node), "a slow transaction", () => world.slow(node, ""));
  await world.settle();
  return verdictOn(world, ledger, base);
}

async function decide(node: TestNode, { which, take }: { which: number; take: Taken }, base: number): Promise<void> {
  const records = await node.node.conflicts.list({ limit: 100 });
  const own = records.filter(({ key }) => {
    const { id } = key as { id: string | { i: string } };
    return Math.floor((Number(typeof id === "object" ? id.i : id) - base) / 10) === 0;
  });
  const record = own[which % Math.max(1, own.length)];
  if (record === undefined || record.table === "tally") return;
  try {
    await node.node.conflicts.resolve(record, { take }, { who: "ann", force: true });
  } catch (error) {
    // the row that it would take is not known as a whole, or stands against a constraint
    if (!(error instanceof TomboloError)) throw error;
  }
}

/** Two counters, known to all. */
async function begin(world: World, ledger: Ledger, base: number): Promise<void> {
  const hub = world.node(0);
  const before = await rowsAt(hub, base);
  await hub.write(`insert into tally (id) values (${base}), (${base + 1})`);
  ledger.committed("the counters", "hub", before, await rowsAt(hub, base));
  await world.settle();
}

function troubleOf(fault: Fault, write: (node: number, writes: readonly Write[]) => Promise<void>): Trouble {
  let packet = 0;
  let refresh = 0;
  const now = (): boolean => packet - 1 === fault.at;
  return {
    async meanwhile() {
      packet += 1;
      if (fault.kind === "meanwhile" && now()) for (const step of fault.writes) await write(step.node, [step]);
    },
    next() {
      if (fault.kind === "meanwhile" || fault.kind === "refresh lost" || !now()) return null;
      return fault.kind;
    },
    refreshLost() {
      refresh += 1;
      return fault.kind === "refresh lost" && refresh === 1;
    },
  };
}
