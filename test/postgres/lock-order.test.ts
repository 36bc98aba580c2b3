import pg from "pg";
import { afterEach, beforeEach, expect, test } from "vitest";
import { channelName, epoch, nodeName, packetNumber, START, tableName } from "../../replicator/change/names.ts";
import type { PacketHeader } from "../../replicator/change/packet.ts";
import { packet } from "../../replicator/change/packet-seal.ts";
import { PLAIN_RULE } from "../../replicator/change/verdict.ts";
import { createJudge } from "../../replicator/conflict/judge.ts";
import { createModuleRunner } from "../../replicator/conflict/module-runner.ts";
import { until } from "../helpers/command.ts";
import { postgresNode } from "../helpers/nodes.ts";

const [DOOR, ITEM] = [tableName("door"), tableName("item")];
const CHILDREN = [nodeName("first"), nodeName("second"), nodeName("third")] as const;
/** A row that the third child writes alone. */
const OWN = "r";
const ALL = channelName("all");
const SCHEMA = [DOOR, ITEM].map((name) => `create table ${name} (id text primary key, n integer not null);`).join(" ");

let hub: Awaited<ReturnType<typeof postgresNode>>;
let application: pg.Client;
let looker: pg.Client;
beforeEach(async () => {
  hub = await postgresNode("hub", SCHEMA, [{ name: "door" }, { name: "item" }], { capture: "trigger" });
  [application, looker] = [new pg.Client({ connectionString: hub.database.url }), new pg.Client({ connectionString: hub.database.url })];
  await Promise.all([application.connect(), looker.connect()]);
  for (const name of CHILDREN) {
    await hub.node.target.meet([{ name, role: "child" }]);
    await hub.node.target.start(name, ALL, [DOOR, ITEM], START);
  }
});
afterEach(async () => {
  await Promise.all([application.end(), looker.end()]);
  await hub.close();
});

const rules = new Map([DOOR, ITEM].map((table) => [table, { table, channel: ALL, ...PLAIN_RULE }]));
const CONTEXT = { from: "child", rules, judge: createJudge(createModuleRunner()), clockOffsetMs: 0, nowMs: Date.now() } as const;

/** Sessions that wait for a lock. */
async function waiting(): Promise<number[]> {
  const { rows } = await looker.query(
    "select distinct pid from pg_locks join pg_stat_activity using (pid) where datname = current_database() and not granted",
  );
  return rows.map(({ pid }) => pid);
}

/** Updates of rows, each from what the child has to -1. */
async function bring(child: (typeof CHILDREN)[number], rows: readonly (readonly [table: 0 | 1, id: string, has: number])[]) {
  const { target } = hub.node;
  const state = await target.peer(child);
  const told = packet({
    header: {
      ...{ protocol: 1, kind: "changes", source: child, target: nodeName("hub"), channels: [ALL], after: START, upTo: START, seen: {} },
      ...{ epoch: epoch("00000000-0000-4000-8000-000000000000"), number: packetNumber(state.number + 1n), previous: state.digest },
      tables: [DOOR, ITEM].map((table) => ({
        ...{ table, channel: ALL, local: `public.${table}`, engine: "postgres", key: ["id"], fingerprint: "", hash: "" },
        columns: [
          { name: "id", type: "text", base: "text", notNull: true },
          { name: "n", type: "integer", base: "int4", notNull: true },
        ],
      })),
    } as PacketHeader,
    parts: (async function* () {
      yield rows.map(([table, id, has]) => {
        const image = (n: number) => JSON.stringify({ n: String(n) });
        return { table, op: "U" as const, key: JSON.stringify({ id }), old: image(has), new: image(-1), changedAt: 1e15 };
      });
    })(),
  });
  return target.apply(told, CONTEXT);
}

/**
 * Two packets bring the same rows. Of item `p` the first has what the hub has, of item `q` the second, of the door neither, and an application keeps that until both have come to
 * it: each has then written an item that the other is about to look at.
 */
async function crossing(waitBeside = 0): Promise<unknown[]> {
  await hub.write(
    `delete from door; delete from item where id <> '${OWN}'; insert into door values ('z', 2); insert into item values ('p', 0), ('q', 1)`,
  );
  await application.query("begin; select from door for update");
  const applying = [
    bring("first" as (typeof CHILDREN)[number], [
      [0, "z", 0],
      [1, "q", 0],
      [1, "p", 0],
    ]),
    bring("second" as (typeof CHILDREN)[number], [
      [0, "z", 0],
      [1, "p", 1],
      [1, "q", 1],
    ]),
  ];
  const settled = Promise.allSettled(applying);
  await until("both packets wait", async () => (await waiting()).length === 2 + waitBeside);
  await application.query("commit");
  return (await settled).flatMap((one) => (one.status === "rejected" ? [one.reason] : []));
}

test("packets that have met in a deadlock lock their rows in one order from then on", async () => {
  expect(await crossing()).toMatchObject([{ code: "POSTGRES_40P01", kind: "retry" }]);
  for (let time = 0; time < 3; time++) expect(await crossing()).toEqual([]);
});

test("a packet that fails while the order begins to be kept says why it failed, and comes again", async () => {
  const third = nodeName("third") as (typeof CHILDREN)[number];
  await hub.write(`insert into item values ('${OWN}', 0)`);
  await bring(third, [[1, OWN, 0]]);
  const holder = new pg.Client({ connectionString: hub.database.url });
  await holder.connect();
  try {
    await holder.query(`begin; update item set n = 5 where id = '${OWN}'`);
    const failing = bring(third, [[1, OWN, -1]]).catch((error: unknown) => error);
    await until("it waits for its row", async () => (await waiting()).length === 1);
    const [pid] = await waiting();
    expect(await crossing(1)).toMatchObject([{ code: "POSTGRES_40P01" }]);
    await looker.query("select pg_cancel_backend($1)", [pid]);
    expect(await failing).toMatchObject({ code: "POSTGRES_57014", kind: "retry" });
    await holder.query("commit");
  } finally {
    await holder.end();
  }
  await bring(third, [[1, OWN, 5]]);
  expect(await hub.rows(`select n from item where id = '${OWN}'`)).toEqual([["-1"]]);
});
