import { createHash } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { nodeName } from "../../replicator/change/names.ts";
import { issue } from "../../replicator/hub/issue.ts";
import { isSecretOf, newSecret, readSecret } from "../../replicator/hub/secret.ts";
import type { TokenRecord } from "../../replicator/node/token-desk.ts";
import type { Topology } from "../../replicator/topology/topology.ts";
import { ask, emptyTopology, openHub, type TestHub } from "../helpers/hub.ts";
import { postgresNode, sqliteNode, type TestNode } from "../helpers/nodes.ts";

const HOUR = 3_600_000;

const topologyOf = (hub: TestNode): Topology => ({
  ...emptyTopology([hub.node]),
  groups: [{ name: "stores", parent: hub.node.name, channels: [], params: ["region"] }],
});

describe.each(["postgres", "sqlite"] as const)("a %s hub", (engine) => {
  let database: TestNode;
  let hub: TestHub;
  let second: TestHub;
  let admin: string;

  beforeAll(async () => {
    database = await (engine === "postgres" ? postgresNode : sqliteNode)("hub", "");
    await database.node.installation.apply([]);
  });
  beforeEach(async () => {
    // each test has processes of its own, so that what one has guessed wrong is no other's trouble
    const options = { topology: topologyOf(database), nodes: [database.node], authenticate: "tokens" as const };
    [hub, second] = await Promise.all([openHub(options), openHub(options)]);
    admin = (await issueFor({ role: "admin", name: "ann" })).secret;
    return async () => {
      await hub.close();
      await second.close();
    };
  });
  afterAll(() => database.close());

  const table = engine === "postgres" ? "tombolo.token" : "tombolo_token";
  const auditTable = engine === "postgres" ? "tombolo.audit" : "tombolo_audit";

  const issueFor = (request: {
    role: "node" | "viewer" | "operator" | "admin";
    name?: string;
    lifetimeMs?: number;
    codeLifetimeMs?: number;
  }) =>
    issue(
      database.node.tokens,
      topologyOf(database),
      {
        name: null,
        node: request.role === "node" ? "store-7" : null,
        group: request.role === "node" ? "stores" : null,
        params: request.role === "node" ? { region: "north" } : {},
        lifetimeMs: 365 * 24 * HOUR,
        codeLifetimeMs: 24 * HOUR,
        ...request,
      },
      "test",
    );

  const enrol = (code: string, at = hub) => ask(at, "POST", "/v1/enrol", { body: { code } });
  const enrolled = async (): Promise<string> => (await enrol((await issueFor({ role: "node" })).secret)).body.token;
  const rotateOwn = (token: string) => ask(hub, "POST", "/v1/nodes/store-7/token/rotate", { token });
  const works = async (token: string, at = hub): Promise<boolean> => {
    const { status, body } = await ask(at, "POST", "/v1/nodes/store-8/token/rotate", { token });
    // a token in force is told that it is another node's
    expect([401, 403]).toContain(status);
    return body.code === "NODE_FORBIDDEN";
  };

  test("a code is exchanged for a token of the node, group and parameters that it was made for", async () => {
    const { secret, record } = await issueFor({ role: "node" });
    expect(record).toMatchObject({ kind: "code", role: "node", node: "store-7", group: "stores", params: { region: "north" } });
    const { status, body } = await enrol(secret);
    expect(status).toBe(201);
    expect(body).toMatchObject({
      node: "store-7",
      group: "stores",
      parent: "hub",
      params: { region: "north" },
      topology: "test",
      version: "0.0.0",
    });
    expect(Date.parse(body.expires_at) - Date.now()).toBeGreaterThan(364 * 24 * HOUR);
    expect(await works(body.token)).toBe(true);
    expect(await works(body.token, second)).toBe(true);
  });

  test("a code works once, of ten that try at once on two processes one gets a token", async () => {
    const { secret } = await issueFor({ role: "node" });
    const answers = await Promise.all(Array.from({ length: 10 }, (_, at) => enrol(secret, at % 2 === 0 ? hub : second)));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, ...Array(9).fill(401)]);
    expect(new Set(answers.filter(({ status }) => status === 401).map(({ body }) => body.code))).toEqual(new Set(["CODE_INVALID"]));
    expect((await enrol(secret)).body.code).toBe("CODE_INVALID");
  });

  test("enrolling anew ends the tokens that the node had", async () => {
    const before = await enrolled();
    const after = await enrolled();
    expect([await works(before), await works(after)]).toEqual([false, true]);
  });

  test("a code that has expired, was revoked, is a token, or is nobody's, is refused, and nothing tells which", async () => {
    const expired = await issueFor({ role: "node", codeLifetimeMs: -1 });
    const revoked = await issueFor({ role: "node" });
    await database.node.tokens.revoke(revoked.record.id, "test");
    const other = await issueFor({ role: "node" });
    const halfRight = `${other.secret.slice(0, -5)}AAAAA`;
    const all = [expired.secret, revoked.secret, admin, newSecret("code").text, halfRight, "x"];
    const answers = await Promise.all(all.map((code) => enrol(code)));
    const told = new Set(answers.map(({ status, body }) => JSON.stringify([status, body.code, body.detail, body.hint])));
    expect(told.size).toBe(1);
    expect(answers[0]?.body.code).toBe("CODE_INVALID");
    expect((await enrol(other.secret)).status).toBe(201);
  });

  test("a token that is unknown, expired, revoked, half right, a code, or missing, is refused", async () => {
    const expired = await issueFor({ role: "admin", lifetimeMs: -1 });
    const revoked = await issueFor({ role: "admin" });
    await database.node.tokens.revoke(revoked.record.id, "test");
    const code = await issueFor({ role: "node" });
    const wrong = [expired.secret, revoked.secret, `${admin.slice(0, -5)}AAAAA`, code.secret, newSecret("token").text, "admin", ""];
    for (const token of wrong) {
      const answer = await ask(hub, "GET", "/v1/tokens", { token });
      expect([answer.status, answer.body.code], token.slice(0, 4)).toEqual([401, "TOKEN_INVALID"]);
    }
    expect((await ask(hub, "GET", "/v1/tokens", { token: admin })).status).toBe(200);
  });

  test("revoking works at the next request, on every process, and on what came of the token by rotation", async () => {
    const token = await enrolled();
    const rotatedOnce = (await rotateOwn(token)).body.token;
    expect([await works(token, second), await works(rotatedOnce, second)]).toEqual([true, true]);
    const [newest] = await database.node.tokens.list({ limit: 1, node: nodeName("store-7"), inForce: true });
    const first = await database.node.tokens.find("token", readSecret(token)?.handle ?? "");
    expect(newest?.id).not.toBe(first?.id);
    const answer = await ask(hub, "DELETE", `/v1/tokens/${first?.id}`, { token: admin });
    expect(answer.body.token).toMatchObject({ id: String(first?.id), state: "revoked", node: "store-7" });
    expect([await works(token), await works(token, second), await works(rotatedOnce), await works(rotatedOnce, second)]).toEqual(
      Array(4).fill(false),
    );
    expect((await ask(hub, "DELETE", "/v1/tokens/999999", { token: admin })).body.code).toBe("TOKEN_UNKNOWN");
  });

  test("rotation: the old token works until the grace period ends; after a lost answer the old one gets another", async () => {
    const token = await enrolled();
    const lost = (await rotateOwn(token)).body.token;
    const again = await rotateOwn(token);
    expect(again.status).toBe(200);
    expect(Math.abs(Date.parse(again.body.old_until) - Date.now() - HOUR)).toBeLessThan(60_000);
    expect([await works(token), await works(lost), await works(again.body.token)]).toEqual([true, false, true]);
    // the new one was used: whoever still comes with the old one is not its owner
    expect((await rotateOwn(token)).body.code).toBe("TOKEN_ROTATED");
    await database.write(`update ${table} set expires_at = created_at where handle = '${readSecret(token)?.handle}'`);
    expect([await works(token), await works(again.body.token)]).toEqual([false, true]);
    const next = await rotateOwn(again.body.token);
    expect(Date.parse(next.body.expires_at) - Date.now()).toBeGreaterThan(364 * 24 * HOUR);
  });

  test("an admin makes, lists, rotates and revokes tokens; secrets are shown once and stored as hashes", async () => {
    const made = await ask(hub, "POST", "/v1/tokens", {
      token: admin,
      body: { role: "operator", name: "night shift", lifetime_seconds: 60 },
    });
    expect(made.status).toBe(201);
    const { secret, token } = made.body;
    expect(token).toMatchObject({
      kind: "token",
      role: "operator",
      name: "night shift",
      state: "in_force",
      created_by: "ann",
      last_used_at: null,
    });
    expect((await ask(hub, "GET", "/v1/tokens", { token: secret })).body.code).toBe("ROLE_FORBIDDEN");
    const listed = await ask(second, "GET", "/v1/tokens?limit=1&in_force=true", { token: admin });
    expect(listed.body.tokens).toEqual([{ ...token, last_used_at: expect.any(String) }]);
    expect(listed.body.next).toBe(token.id);
    const rotated = await ask(hub, "POST", `/v1/tokens/${token.id}/rotate`, { token: admin });
    expect(rotated.body.token).toMatchObject({ role: "operator", name: "night shift" });
    expect((await ask(hub, "GET", "/v1/tokens", { token: rotated.body.secret })).status).toBe(403);
    const stored =
      JSON.stringify(await database.rows(`select * from ${table}`)) + JSON.stringify(await database.rows(`select * from ${auditTable}`));
    for (const text of [secret, rotated.body.secret, admin]) {
      expect(stored).not.toContain(text);
      expect(stored).not.toContain(text.slice(-43));
      expect(hub.log()).not.toContain(text.slice(-43));
    }
    expect(JSON.stringify(listed.body)).not.toContain(createHash("sha256").update(secret).digest("hex"));
  });

  test("what an edge is to be is checked against the topology", async () => {
    const create = async (body: object) => (await ask(hub, "POST", "/v1/tokens", { token: admin, body })).body.code;
    const store = { role: "node", node: "store-9", group: "stores", params: { region: "south" } };
    expect(await create({ ...store, group: "shops" })).toBe("GROUP_UNKNOWN");
    expect(await create({ ...store, node: "hub" })).toBe("NODE_NAME_TAKEN");
    expect(await create({ ...store, node: "../x" })).toBe("TOKEN_IDENTITY");
    expect(await create({ ...store, params: {} })).toBe("TOKEN_IDENTITY");
    expect(await create({ ...store, params: { region: "south", admin: "yes" } })).toBe("TOKEN_IDENTITY");
    expect(await create({ ...store, role: "viewer" })).toBe("TOKEN_IDENTITY");
    expect(await create({ ...store, role: "root" })).toBe("REQUEST_INVALID");
    expect(await create(store)).toBeUndefined();
  });

  test("everything that is done to tokens is in the audit trail, with who did it", async () => {
    const token = await enrolled();
    await rotateOwn(token);
    const { body } = await ask(hub, "GET", "/v1/audit?limit=4", { token: admin });
    expect(body.entries.map(({ what, who }: { what: string; who: string }) => `${who}: ${what}`)).toEqual([
      "store-7: token rotated",
      "store-7: code redeemed",
      "test: code created",
      "test: token created",
    ]);
    expect(body.entries[1].details).toMatchObject({ role: "node", node: "store-7", group: "stores", params: { region: "north" } });
    const next = await ask(hub, "GET", `/v1/audit?limit=1&before=${body.next}&what=token%20created`, { token: admin });
    expect(next.body.entries).toHaveLength(1);
    expect(BigInt(next.body.entries[0].id)).toBeLessThan(BigInt(body.next));
  });

  test("who guesses is slowed down; who is known from the same address goes on", async () => {
    expect(await works(admin.slice(0, -1))).toBe(false);
    expect((await ask(hub, "GET", "/v1/tokens", { token: admin })).status).toBe(200);
    const codes = [];
    for (let count = 0; count < 25; count++)
      codes.push((await ask(hub, "GET", "/v1/tokens", { token: newSecret("token").text })).body.code);
    expect(codes.slice(0, 19)).toEqual(Array(19).fill("TOKEN_INVALID"));
    expect(codes.at(-1)).toBe("RATE_LIMITED");
    const code = await issueFor({ role: "node" });
    const refused = await enrol(code.secret);
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([429, "60"]);
    expect((await ask(hub, "GET", "/v1/tokens", { token: admin })).status).toBe(200);
    expect((await enrol(code.secret, second)).status).toBe(201);
  });

  test("the use of a token is noted at most once in five minutes", async () => {
    const secret = readSecret(admin);
    const used = async () => (await database.node.tokens.find("token", secret?.handle ?? ""))?.lastUsedAt;
    expect(await used()).toBeNull();
    await ask(hub, "GET", "/v1/tokens", { token: admin });
    const first = await used();
    expect(first).toMatch(/^\d{4}-.*Z$/);
    await ask(hub, "GET", "/v1/tokens", { token: admin });
    expect(await used()).toBe(first);
    await database.write(`update ${table} set last_used_at = '2001-01-01T00:00:00.000Z' where handle = '${secret?.handle}'`);
    await ask(hub, "GET", "/v1/tokens", { token: admin });
    expect(Date.parse((await used()) ?? "")).toBeGreaterThan(Date.now() - 60_000);
  });
});

test("a hub in which nothing is installed says so", async () => {
  const bare = await postgresNode("hub", "");
  const hub = await openHub({ nodes: [bare.node], authenticate: "tokens" as const });
  const { status, body } = await ask(hub, "GET", "/v1/tokens", { token: newSecret("token").text });
  expect([status, body.code]).toEqual([503, "NOT_INSTALLED"]);
  await hub.close();
  await bare.close();
});

describe("a secret", () => {
  const record = (hash: Uint8Array): TokenRecord => ({ hash }) as TokenRecord;

  test("has 256 random bits, a prefix that scanners know, and is found by a part that is none", () => {
    const secrets = Array.from({ length: 100 }, () => newSecret("token"));
    expect(new Set(secrets.map(({ text }) => text)).size).toBe(100);
    for (const { text, handle, hash } of secrets) {
      expect(text).toMatch(/^tbl_[0-9a-f]{16}_[A-Za-z0-9_-]{43}$/);
      expect(Buffer.from(text.slice(-43), "base64url")).toHaveLength(32);
      expect(readSecret(text)).toEqual({ kind: "token", handle, hash });
    }
    expect(newSecret("code").text).toMatch(/^tbc_/);
  });

  test("is compared as a whole: any other byte, and nobody's record, is refused", () => {
    const secret = newSecret("token");
    expect(isSecretOf(secret, record(secret.hash))).toBe(true);
    for (let at = 0; at < secret.hash.length; at++) {
      const other = Buffer.from(secret.hash);
      other[at] = (other[at] as number) ^ 1;
      expect(isSecretOf(secret, record(other))).toBe(false);
    }
    expect(isSecretOf(secret, record(Buffer.alloc(0)))).toBe(false);
    expect(isSecretOf(secret, null)).toBe(false);
  });
});
