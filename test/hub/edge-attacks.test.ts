import { createHash, randomBytes } from "node:crypto";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import type { Change } from "../../replicator/change/change.ts";
import { channelName, epoch, nodeName, packetNumber, position, tableName } from "../../replicator/change/names.ts";
import type { PacketHeader } from "../../replicator/change/packet.ts";
import { encodePacket } from "../../replicator/change/packet-codec.ts";
import { frameBytes, PREAMBLE } from "../../replicator/change/packet-frame.ts";
import { packet } from "../../replicator/change/packet-seal.ts";
import { headerText } from "../../replicator/change/packet-text.ts";
import type { RowText } from "../../replicator/change/value.ts";
import { EXCHANGE_TYPE, PACKET_TYPE } from "../../replicator/link/exchange.ts";
import { type EdgeWorld, edgeWorld } from "../helpers/edge-world.ts";
import { both } from "../helpers/pair.ts";

const SCHEMA = both(
  "create table item (id bigint primary key, region text, note text); create table secret (id bigint primary key, note text)",
);
const TABLES = [{ name: "item", filter: "region = :region" }];
const NORTH = "node~mallory~edges~region=north";
const SIGNAL = new AbortController().signal;
const KEYS: { [table: string]: string[] } = { item: ["id", "region", "note"], secret: ["id", "note"] };

const cell = (value: string | number | null): unknown => (typeof value === "number" ? { i: String(value) } : value);
const text = (row: { [column: string]: string | number | null }): RowText =>
  JSON.stringify(Object.fromEntries(Object.entries(row).map(([name, value]) => [name, cell(value)]))) as RowText;

interface Sent {
  readonly number?: bigint;
  readonly previous?: string;
  readonly source?: string;
  readonly target?: string;
  readonly table?: string;
  readonly changes?: readonly Omit<Change, "table" | "changedAt">[];
}

/** What an edge of SQLite might send, or someone who says that he is one. */
async function bytesOf({
  number = 1n,
  previous = "",
  source = "mallory",
  target = "hub",
  table = "item",
  changes = [],
}: Sent): Promise<Buffer> {
  const columns = (Object.hasOwn(KEYS, table) ? (KEYS[table] as string[]) : ["id"]).map((name) => ({
    name,
    type: name === "id" ? "integer" : "text",
    notNull: false,
  }));
  const header: PacketHeader = {
    protocol: 1,
    source: nodeName(source),
    target: nodeName(target),
    epoch: epoch("6a5f7dc5-8f5d-4f0e-9d7a-0a4f4b2ad001"),
    number: packetNumber(number),
    previous,
    kind: "changes",
    channels: [channelName("all")],
    after: position(0n),
    upTo: position(number),
    tables: [{ table: tableName(table), channel: channelName("all"), engine: "sqlite", columns, key: ["id"], hash: "x" }],
    seen: {},
  };
  async function* parts() {
    if (changes.length > 0) yield changes.map((change) => ({ ...change, table: 0, changedAt: Date.now() * 1000 }));
  }
  const pieces: Buffer[] = [];
  for await (const piece of encodePacket(packet({ header, parts: parts() }), "gzip")) pieces.push(piece);
  return Buffer.concat(pieces);
}

const digestOf = (bytes: Buffer): string => /"digest":"([0-9a-f]{64})"/.exec(bytes.toString("latin1"))?.[1] ?? "";

describe.each(["postgres", "sqlite"] as const)("a %s hub", (engine) => {
  let world: EdgeWorld;
  beforeAll(async () => {
    world = await edgeWorld({ engine, schema: SCHEMA, tables: TABLES, params: ["region"] });
    await world.database.write(
      "insert into item values (1, 'north', 'mine'), (2, 'south', 'theirs'), (3, 'south', 'theirs'), (4, null, 'nobody'); insert into secret values (1, 'canary')",
    );
    return () => world.close();
  });

  const put = (node: string, number: bigint | string, body: Buffer, token = NORTH, type = PACKET_TYPE) =>
    fetch(`${world.hub.url}/v1/nodes/${node}/packets/${number}`, {
      method: "PUT",
      headers: { authorization: `Bearer ${token}`, "content-type": type, "tombolo-clock": String(Date.now()) },
      body: new Uint8Array(body),
    });
  // biome-ignore lint/suspicious/noExplicitAny: what a test expects of it is said there
  const told = async (response: Response): Promise<any> => ({ status: response.status, ...((await response.json()) as object) });
  const others = async (): Promise<string> =>
    JSON.stringify([
      await world.database.rows("select * from item where region is distinct from 'north' order by id"),
      await world.database.rows("select * from secret"),
    ]);
  const where = async (): Promise<{ number: bigint; digest: string }> => {
    const answer = await fetch(`${world.hub.url}/v1/nodes/mallory/status`, { headers: { authorization: `Bearer ${NORTH}` } });
    const { received } = (await answer.json()) as { received: { packet: string; digest: string } };
    return { number: BigInt(received.packet), digest: received.digest };
  };
  const next = async (sent: Sent): Promise<{ number: bigint; body: Buffer }> => {
    const { number, digest } = await where();
    return { number: number + 1n, body: await bytesOf({ ...sent, number: number + 1n, previous: digest }) };
  };

  test("a packet is applied once: again it gets the same receipt; another one of that number is a fork, a later one a gap", async () => {
    const { number, body } = await next({
      changes: [{ op: "I", key: text({ id: 100 }), old: null, new: text({ id: 100, region: "north", note: "x" }) }],
    });
    const first = await told(await put("mallory", number, body));
    expect(first).toMatchObject({ status: 200, number: String(number), duplicate: false, applied: { insert: 1 } });
    expect(await told(await put("mallory", number, body))).toEqual({ ...first, duplicate: true });
    const other = await bytesOf({ number, previous: "", changes: [] });
    expect(await told(await put("mallory", number, other))).toMatchObject({
      status: 409,
      code: "PACKET_FORK",
      expected: String(number + 1n),
    });
    const late = await bytesOf({ number: number + 2n, previous: first.digest });
    expect(await told(await put("mallory", number + 2n, late))).toMatchObject({
      status: 409,
      code: "PACKET_GAP",
      expected: String(number + 1n),
      previous: first.digest,
    });
  });

  test("eight senders of one identity at once: one packet of each number counts", async () => {
    const { number, digest } = await where();
    const bodies = await Promise.all(
      Array.from({ length: 8 }, (_, at) =>
        bytesOf({
          number: number + 1n,
          previous: digest,
          changes: [{ op: "I", key: text({ id: 200 + at }), old: null, new: text({ id: 200 + at, region: "north", note: "y" }) }],
        }),
      ),
    );
    const answers = await Promise.all(bodies.map(async (body) => told(await put("mallory", number + 1n, body))));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(new Set(answers.filter(({ status }) => status !== 200).map(({ code }) => code))).toEqual(new Set(["PACKET_FORK"]));
    expect(await world.database.rows("select count(*) from item where id between 200 and 207")).toEqual([["1"]]);
  });

  test("a name that is another's: in the path, in the packet, as the target", async () => {
    const before = await others();
    const { number, digest } = await where();
    const honest = await bytesOf({ number: number + 1n, previous: digest });
    expect(await told(await put("victim", number + 1n, honest))).toMatchObject({ status: 403, code: "NODE_FORBIDDEN" });
    for (const names of [{ source: "victim" }, { source: "hub" }, { target: "victim" }]) {
      const forged = await bytesOf({ number: number + 1n, previous: digest, ...names });
      expect(await told(await put("mallory", number + 1n, forged))).toMatchObject({ status: 403, code: "PACKET_STRANGER" });
    }
    expect(await others()).toBe(before);
  });

  test("a table that is not the edge's, whatever it is called", async () => {
    const before = await others();
    const tables = ["secret", "tombolo.token", 'item"; drop table item; --', "pg_catalog.pg_class", "sqlite_schema", "__proto__"];
    for (const table of tables) {
      const { number, body } = await next({
        table,
        changes: [{ op: "D", key: text({ id: 1 }), old: text({ id: 1, note: "canary" }), new: null }],
      });
      const answer = await told(await put("mallory", number, body));
      expect(answer, table).toMatchObject({ status: 409 });
      expect(["TABLE_NOT_IN_LINK", "TABLE_NOT_CAPTURED"]).toContain(answer.code);
      expect(JSON.stringify(answer)).not.toContain("canary");
    }
    expect(await others()).toBe(before);
  });

  test("rows that are not the edge's: none of many attempts reaches one, and nothing is told about them", async () => {
    const before = await others();
    const ids = fc.integer({ min: 1, max: 6 });
    const region = fc.constantFrom("north", "south", null);
    const row = fc.record({ region, note: fc.constantFrom("evil", null) });
    const attempt = fc.record({ op: fc.constantFrom("I" as const, "U" as const, "D" as const), id: ids, old: row, now: row });
    const attack = async (attempts: readonly { op: "I" | "U" | "D"; id: number; old: object; now: object }[]): Promise<void> => {
      const changes = attempts.map(({ op, id, old, now }) => ({
        op,
        key: text({ id }),
        old: op === "I" ? null : text({ id, ...old } as never),
        new: op === "D" ? null : text({ id, ...now } as never),
      }));
      const { number, body } = await next({ changes });
      const answer = await put("mallory", number, body);
      const said = await answer.text();
      expect([200, 409], said).toContain(answer.status);
      expect(said).not.toMatch(/theirs|canary|nobody/);
    };
    const several = fc.uniqueArray(attempt, { selector: ({ id }) => id, minLength: 1, maxLength: 4 });
    await fc.assert(fc.asyncProperty(several, attack), {
      numRuns: Number(process.env.TOMBOLO_ATTACKS ?? 100),
      seed: 7,
      endOnFailure: true,
    });
    // his own rows he may write, and give away; what he gave away is not theirs to begin with
    const theirs = await world.database.rows("select * from item where id in (2, 3) order by id");
    expect(JSON.stringify([theirs])).toBe(
      JSON.stringify([
        [
          ["2", "south", "theirs"],
          ["3", "south", "theirs"],
        ],
      ]),
    );
    expect(await others()).toBe(before);
  });

  test("a packet cut anywhere, or with any bit changed, is refused and changes nothing", async () => {
    const { number, body } = await next({
      changes: [{ op: "I", key: text({ id: 300 }), old: null, new: text({ id: 300, region: "north", note: "z".repeat(40) }) }],
    });
    const wrong: Buffer[] = [];
    for (let cut = 0; cut < body.length; cut += 17) wrong.push(body.subarray(0, cut));
    for (let at = 0; at < body.length; at += 13) {
      const copy = Buffer.from(body);
      copy[at] = (copy[at] as number) ^ (1 << (at % 8));
      wrong.push(copy);
    }
    wrong.push(Buffer.concat([body, Buffer.from("more")]));
    for (const each of wrong) expect((await put("mallory", number, each)).status).toBeGreaterThanOrEqual(400);
    expect(await world.database.rows("select count(*) from item where id = 300")).toEqual([["0"]]);
    // the whole one still counts
    expect((await put("mallory", number, body)).status).toBe(200);
  });

  test("what grows when it is decompressed: refused before it does, and not even read without a token", async () => {
    const { number, digest } = await where();
    const header = headerText({
      protocol: 1,
      source: nodeName("mallory"),
      target: nodeName("hub"),
      epoch: epoch("6a5f7dc5-8f5d-4f0e-9d7a-0a4f4b2ad001"),
      number: packetNumber(number + 1n),
      previous: digest,
      kind: "changes",
      channels: [],
      after: position(0n),
      upTo: position(1n),
      tables: [],
      seen: {},
    });
    const zeros = gzipSync(Buffer.alloc(200 * 2 ** 20), { level: 9 });
    const bomb = (rawLength: number): Buffer =>
      Buffer.concat([
        PREAMBLE,
        frameBytes({ kind: "H", codec: "none", rawLength: header.length, payload: Buffer.from(header) }),
        frameBytes({ kind: "P", codec: "gzip", rawLength, payload: zeros }),
      ]);
    const memory = process.memoryUsage().rss;
    expect(await told(await put("mallory", number + 1n, bomb(200 * 2 ** 20)))).toMatchObject({ status: 413, code: "PACKET_TOO_LARGE" });
    // one that does not say how large it becomes
    expect(await told(await put("mallory", number + 1n, bomb(zeros.length * 2)))).toMatchObject({ status: 400, code: "PACKET_CORRUPT" });
    const refused = await put("mallory", number + 1n, bomb(200 * 2 ** 20), "nobody").then(told, () => ({ status: 401 }));
    expect(refused.status).toBe(401);
    expect(process.memoryUsage().rss - memory).toBeLessThan(150 * 2 ** 20);
  });

  test("an exchange of noise, or with a head that is none, is refused", async () => {
    const exchange = (body: Buffer) =>
      fetch(`${world.hub.url}/v1/nodes/mallory/exchange`, {
        method: "POST",
        headers: { authorization: `Bearer ${NORTH}`, "content-type": EXCHANGE_TYPE },
        body: new Uint8Array(body),
      });
    for (const noise of [Buffer.alloc(0), randomBytes(500), Buffer.from([255, 255, 255, 255, 0, 0, 0, 0]), createHash("sha256").digest()]) {
      const answer = await told(await exchange(noise));
      expect([answer.status, answer.code]).toEqual([400, expect.stringMatching(/^(EXCHANGE_INVALID|PACKET_TRUNCATED)$/)]);
    }
  });

  test("a client that only knows the document: it pulls what is its own, says where it is, and pulls on", async () => {
    const reader = "node~reader~edges~region=south";
    const pull = (query = "") =>
      fetch(`${world.hub.url}/v1/nodes/reader/packets${query}`, { headers: { authorization: `Bearer ${reader}` } });
    const filled = await pull();
    expect([filled.status, filled.headers.get("content-type")]).toEqual([200, PACKET_TYPE]);
    const bytes = Buffer.from(await filled.arrayBuffer());
    expect(digestOf(bytes)).toMatch(/^[0-9a-f]{64}$/);
    const upTo = /"upTo":"(\d+)"/.exec(bytes.toString("latin1"))?.[1];
    const scope = /"scopes":\["(\d+)"\]/.exec(bytes.toString("latin1"))?.[1];
    const at = `number=1&previous=${digestOf(bytes)}&tables=item&scopes=item:${scope}`;
    expect((await pull(`?after=${upTo}&${at}`)).status).toBe(204);
    const waiting = pull(`?after=${upTo}&${at}&wait=20`);
    await world.database.write("insert into item values (900, 'south', 'fresh'), (901, 'north', 'unseen')");
    const more = Buffer.from(await (await waiting).arrayBuffer()).toString("latin1");
    expect([more.includes("fresh"), more.includes("unseen")]).toEqual([true, false]);
    expect(
      await (await fetch(`${world.hub.url}/v1/nodes/reader/topology`, { headers: { authorization: `Bearer ${reader}` } })).json(),
    ).toMatchObject({
      topology: {
        node: "reader",
        parent: { name: "hub", engine },
        params: { region: "south" },
        channels: [{ name: "all", direction: "both" }],
      },
    });
    await world.database.write("delete from item where id >= 900");
    // and an honest edge beside them all has its own
    const honest = await world.edge("honest", { params: { region: "south" } });
    await honest.edge.sync(SIGNAL);
    expect(await honest.rows("select id, note from item order by id")).toEqual([
      ["2", "theirs"],
      ["3", "theirs"],
    ]);
  });
});
