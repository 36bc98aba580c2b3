import pg from "pg";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Change } from "../../replicator/change/change.ts";
import { channelName, epoch, nodeName, packetNumber, START, tableName } from "../../replicator/change/names.ts";
import type { PacketHeader } from "../../replicator/change/packet.ts";
import { packet } from "../../replicator/change/packet-seal.ts";
import { PLAIN_RULE } from "../../replicator/change/verdict.ts";
import { createJudge } from "../../replicator/conflict/judge.ts";
import { createModuleRunner } from "../../replicator/conflict/module-runner.ts";
import { inOneGo } from "../../replicator/node/postgres/in-one-go.ts";
import { openPostgresNode } from "../../replicator/node/postgres/open.ts";
import { CAPTURE, postgresNode } from "../helpers/nodes.ts";

const HUB = nodeName("hub");
const ITEM = tableName("item");
const ALL = channelName("all");
const EPOCH = epoch("00000000-0000-4000-8000-000000000000");

let child: Awaited<ReturnType<typeof postgresNode>>;
let client: pg.Client;
beforeEach(async () => {
  child = await postgresNode("child", "create table public.item (id bigint primary key, a text unique)", [{ name: "item" }]);
  client = new pg.Client({ connectionString: child.database.url });
  await client.connect();
  await child.node.target.meet([{ name: HUB, role: "parent" }]);
  await child.node.target.start(HUB, ALL, [ITEM], START);
});
afterEach(async () => {
  await client.end();
  await child.close();
});

const CONTEXT = {
  from: "parent",
  rules: new Map([[ITEM, { table: ITEM, channel: ALL, ...PLAIN_RULE }]]),
  judge: createJudge(createModuleRunner()),
  clockOffsetMs: 0,
  nowMs: Date.now(),
} as const;

/** Rows are inserted by a small packet, the next by what the child knows of the last. */
async function bring(ids: readonly number[], header: Partial<PacketHeader> = {}, { target } = child.node) {
  const state = await target.peer(HUB);
  const column = { notNull: false, type: "text", base: "text" };
  const told = packet({
    header: {
      ...{ protocol: 1, kind: "changes", source: HUB, target: nodeName("child"), epoch: EPOCH, channels: [ALL], after: START, upTo: START },
      ...{ number: packetNumber(state.number + 1n), previous: state.digest, seen: {} },
      tables: [
        {
          ...{ table: ITEM, channel: ALL, local: "public.item", engine: "postgres", key: ["id"], fingerprint: "" },
          columns: [
            { name: "id", type: "bigint", base: "int8", notNull: true },
            { name: "a", ...column },
          ],
        },
      ],
      ...header,
    } as PacketHeader,
    parts: (async function* () {
      yield ids.map((id): Change => {
        const row = JSON.stringify({ id: String(id), a: `a ${id}` });
        return { table: 0, op: "I", key: JSON.stringify({ id: String(id) }), old: null, new: row, changedAt: 1e15 };
      });
    })(),
  });
  return target.apply(told, CONTEXT);
}

const ids = async (): Promise<string> => (await child.rows("select id from public.item order by id")).flat().join();

describe("a small packet that is applied by what is remembered of the last", () => {
  test("is applied once, with its number", async () => {
    for (const id of [1, 2, 3]) expect(await bring([id])).toMatchObject({ applied: { insert: 1 }, parked: 0 });
    expect(await ids()).toBe("1,2,3");
    expect(await child.rows("select received_packet_no from tombolo.peer")).toEqual([["3"]]);
  });

  test("leaves nothing behind when another process has applied one in between", async () => {
    await bring([1]);
    const number = packetNumber(2n);
    const { digest } = await child.node.target.peer(HUB);
    await child.write("update tombolo.peer set received_packet_no = 2, received_digest = 'other'");
    await expect(bring([2], { number, previous: digest })).rejects.toMatchObject({ code: "PACKET_FORK" });
    expect(await ids()).toBe("1");
  });

  test("is not applied again when another process was faster", async () => {
    await bring([1]);
    const { digest } = await child.node.target.peer(HUB);
    const header = { number: packetNumber(2n), previous: digest };
    const other = await openPostgresNode({ name: nodeName("child"), url: child.database.url, capture: CAPTURE });
    await bring([2], header, other);
    await other.close();
    await child.write("delete from public.item where id = 2");
    expect(await bring([2], header)).toMatchObject({ duplicate: true, applied: { insert: 1 } });
    expect(await ids()).toBe("1");
  });

  test("leaves nothing behind when the peer's epoch has changed", async () => {
    await bring([1]);
    await child.write("update tombolo.peer set epoch = '11111111-0000-4000-8000-000000000000'");
    await expect(bring([2])).rejects.toMatchObject({ code: "PEER_EPOCH" });
    expect(await ids()).toBe("1");
  });

  test("minds what was parked meanwhile", async () => {
    await bring([1]);
    await child.write(
      `insert into tombolo.parked_change (peer_id, packet_no, table_name, key, op, old, new, shape, changed_at, code, reason, channel, seen)
       select id, 1, 'item', '{"id":"2"}', 'I', null, '{"id":"2","a":"parked"}', '{"table":"item","channel":"all","local":"public.item","engine":"postgres","key":["id"],"columns":[{"name":"id","type":"bigint","base":"int8","notNull":true},{"name":"a","type":"text","base":"text","notNull":false}]}',
              now(), 'X', 'x', 'all', 0 from tombolo.peer`,
    );
    await bring([2]);
    expect(await child.rows("select count(*) from tombolo.parked_change")).toEqual([["0"]]);
    expect(await child.rows("select a from public.item where id = 2")).toEqual([["a 2"]]);
  });

  test("parks only what is refused", async () => {
    await bring([1]);
    await child.write("insert into public.item values (-1, 'a 3')");
    expect(await bring([2, 3, 4])).toMatchObject({ applied: { insert: 2 }, parked: 1 });
    expect(await ids()).toBe("-1,1,2,4");
    expect(await bring([5])).toMatchObject({ applied: { insert: 1 }, parked: 0 });
  });

  test("does not bring back a row that was deleted here and is not judged", async () => {
    await bring([1, 2]);
    await child.write("delete from public.item where id = 1");
    await bring([1, 3]);
    expect(await ids()).toBe("2,3");
  });
});

describe("statements that are sent in one go", () => {
  const number = (n: number, by = 1) => ({ name: `by ${by}`, text: `select $1::int / ${by} as n`, values: [n] });

  test("are answered in their order, and leave the connection as it was", async () => {
    const asked = await inOneGo<pg.QueryResult[]>(client, (go) => [
      go.query("begin"),
      go.query(number(1)),
      go.query(number(2)),
      go.query({ text: "select n from generate_series(1, $1) n", values: [3], rowMode: "array" }),
      go.query("commit"),
    ]);
    expect(asked.map(({ rows }) => rows)).toEqual([[], [{ n: 1 }], [{ n: 2 }], [[1], [2], [3]], []]);
    expect((await client.query(number(3))).rows).toEqual([{ n: 3 }]);
  });

  test("are not done behind one that failed, and its error is thrown", async () => {
    const asked = inOneGo(client, (go) => [go.query("begin"), go.query(number(1, 0)), go.query(number(2, 2)), go.query("commit")]);
    await expect(asked).rejects.toMatchObject({ code: "22012" });
    await expect(client.query("select")).rejects.toMatchObject({ code: "25P02" });
    await client.query("rollback");
    expect((await client.query(number(2, 2))).rows).toEqual([{ n: 1 }]);
  });

  test("write nothing where the transaction could not begin", async () => {
    const asked = inOneGo(client, (go) => [
      go.query("begin isolation level serializable read only deferrable nonsense"),
      go.query("insert into public.item values (1, 'one')"),
    ]);
    await expect(asked).rejects.toMatchObject({ code: "42601" });
    expect(await ids()).toBe("");
  });

  test("throw when the connection is lost", async () => {
    client.on("error", () => undefined);
    const asked = inOneGo(client, (go) => [
      go.query("begin"),
      go.query("select pg_terminate_backend(pg_backend_pid())"),
      go.query("commit"),
    ]);
    await expect(asked).rejects.toMatchObject({ code: "57P01" });
  });
});
