import { setTimeout as delay } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { openWorld, rowsOf, type World } from "../e2e/world.ts";
import { type Started, until } from "../helpers/command.ts";
import { withClient } from "../helpers/postgres.ts";
import { type ServerPair, serverPair } from "../helpers/standby.ts";

const FULL = process.env.TOMBOLO_FAULTS === "full";
/** What says that a hub is not what it was. */
const FOUND_OUT = /NODE_REWOUND|POSITION_AHEAD|POSITION_UNKNOWN|DATABASE_PUT_BACK/;
const ALL = "select id, body from note order by id";

let pair: ServerPair;
let world: World;
let replicator: Started;
afterEach(async () => {
  await world?.close().catch(() => undefined);
  await pair?.remove();
});

/** A hub whose server has a standby, with two children and a replicator that runs. */
async function begin(capture: "trigger" | "slot"): Promise<void> {
  pair = await serverPair();
  world = await openWorld({
    tables: ["note"],
    postgres: "create table note (id int primary key, body text)",
    sqlite: "create table note (id integer primary key, body text)",
    hubUrl: pair.url,
    capture,
  });
  await world.apply();
  replicator = world.run();
}

const atHub = (sql: string): Promise<void> => withClient(pair.url, async (client) => void (await client.query(sql)));

const rows = async (): Promise<{ readonly hub: string; readonly children: readonly string[] }> => ({
  hub: await withClient(pair.url, (client) => rowsOf(client, ALL)),
  children: [await rowsOf(world.replica, ALL), await rowsOf(world.store, ALL)],
});

async function equalTo(wanted: (hub: string) => boolean): Promise<void> {
  await until(
    "all are equal",
    async () => {
      const { hub, children } = await rows();
      if (wanted(hub) && children.every((each) => each === hub)) return true;
      throw new Error([hub, ...children].map((each) => each.slice(-300)).join("\n"));
    },
    60_000,
  ).catch((cause: unknown) => {
    throw new Error(replicator.stderr().split("\n").slice(-20).join("\n"), { cause });
  });
}

const onCommand = async (...args: string[]): Promise<string> => {
  const { code, stdout, stderr } = await world.command(...args);
  if (code !== 0) throw new Error(`${args.join(" ")} ended with ${code}: ${stdout}${stderr}`);
  return stdout;
};

/** The same, with a row that everyone has, the standby as well. */
async function beginWithRow(capture: "trigger" | "slot"): Promise<void> {
  await begin(capture);
  await atHub("insert into note values (1, 'both servers')");
  await equalTo((hub) => hub.includes("both servers"));
  await pair.caughtUp();
}

/** Writes under `ids` one after the other, whatever breaks off meanwhile; answers those whose commit was told. */
async function keepWriting(ids: { from: number; by: number }, stop: AbortSignal, write: (id: number) => Promise<void>): Promise<number[]> {
  const told: number[] = [];
  for (let id = ids.from; !stop.aborted; id += ids.by) {
    try {
      await write(id);
      told.push(id);
    } catch {
      await delay(50);
    }
  }
  return told;
}

test("a hub whose synchronous standby takes over, under writes on all sides: nothing that was committed is lost, and nobody need do anything", {
  timeout: 180_000,
}, async () => {
  await begin("trigger");
  await atHub("alter system set synchronous_standby_names = 'standby'");
  await atHub("select pg_reload_conf()");
  await until("the standby is waited for", () =>
    withClient(
      pair.url,
      async (client) => (await client.query("select from pg_stat_replication where sync_state = 'sync'")).rowCount === 1,
    ),
  );
  const stop = new AbortController();
  const insert = (id: number): string => `insert into note values (${id}, 'row ${id}')`;
  let sinceThen = 0;
  const writing = [
    keepWriting({ from: 1, by: 3 }, stop.signal, async (id) => {
      await atHub(insert(id));
      sinceThen += 1;
    }),
    keepWriting({ from: 2, by: 3 }, stop.signal, async (id) => void (await world.replica.query(insert(id)))),
    keepWriting({ from: 3, by: 3 }, stop.signal, async (id) => {
      world.store.exec(insert(id));
      await delay(5);
    }),
  ];
  await until("there is something to lose", () => sinceThen > 100);
  await pair.failOver();
  sinceThen = 0;
  await until("life goes on", () => sinceThen > 50);
  stop.abort();
  const told = (await Promise.all(writing)).flat();
  await equalTo((hub) => told.every((id) => hub.includes(`"row ${id}"`)));
  expect(replicator.stderr()).not.toMatch(FOUND_OUT);
  expect(await onCommand("status")).not.toContain("must_");
});

/** The standby has not got what the hub and the store have written last; and has taken over. */
async function lagging(): Promise<void> {
  await beginWithRow("trigger");
  await pair.cutOff();
  await atHub("insert into note values (2, 'lost at the hub')");
  world.store.exec("insert into note values (3, 'lost from the store')");
  await equalTo((hub) => hub.includes("lost at the hub") && hub.includes("lost from the store"));
  const { children } = await rows();
  await pair.failOver();
  const foundOut = (child: string): boolean =>
    replicator
      .stderr()
      .split("\n")
      .some((line) => FOUND_OUT.test(line) && line.includes(child));
  await until("both are found out", () => ["replica", "store"].every(foundOut), 60_000);
  // nothing goes on as if nothing had happened
  expect((await rows()).children).toEqual(children);
}

test("a hub whose standby lagged behind when it took over is found out by every child, and gets back what it has lost", {
  timeout: 180_000,
}, async () => {
  await lagging();
  await onCommand("nodes", "resync", "store", "--direction", "push", "--yes");
  await onCommand("nodes", "resync", "replica", "--yes");
  await atHub("insert into note values (4, 'after')");
  await equalTo((hub) => ["both servers", "lost at the hub", "lost from the store", "after"].every((body) => hub.includes(body)));
  expect(await onCommand("status")).not.toContain("must_");
});

test.runIf(FULL)(
  "where it was written to since, the children follow it, and what only they had is in their history, to be brought back",
  {
    timeout: 180_000,
  },
  async () => {
    await lagging();
    await atHub("insert into note values (4, 'after')");
    for (const child of ["store", "replica"]) await onCommand("nodes", "resync", child, "--yes");
    await equalTo((hub) => hub.includes("after"));
    const { conflicts } = JSON.parse(await onCommand("conflicts", "list", "--node", "store", "--json")) as {
      conflicts: { id: string; key: unknown }[];
    };
    for (const { id } of conflicts) await onCommand("conflicts", "resolve", id, "--node", "store", "--take", "child");
    await equalTo((hub) => ["both servers", "lost at the hub", "lost from the store", "after"].every((body) => hub.includes(body)));
  },
);

test.runIf(FULL)(
  "a hub that captures from a slot, which its standby does not have: said by name, and made good by one command for each child",
  {
    timeout: 180_000,
  },
  async () => {
    await beginWithRow("slot");
    await pair.failOver();
    await atHub("insert into note values (2, 'seen by no slot')");
    await until("it is said", () => replicator.stderr().includes("SLOT_LOST"), 60_000);
    expect((await rows()).children.every((each) => !each.includes("seen by no slot"))).toBe(true);
    await world.apply();
    await atHub("insert into note values (3, 'after')");
    for (const child of ["store", "replica"]) await onCommand("full-sync", child, "--yes");
    await equalTo((hub) => hub.includes("seen by no slot") && hub.includes("after"));
    await onCommand("reconcile");
    expect(await onCommand("status")).not.toContain("must_");
  },
);
