import { once } from "node:events";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { Agent, fetch as undiciFetch } from "undici";
import { afterEach, expect, test } from "vitest";
import { freePort, type Started, start, tombolo, until } from "../helpers/command.ts";
import { openShop, type Shop } from "../helpers/shop.ts";

const TLS = new URL("../hub/tls/", import.meta.url).pathname;

const opened: Shop[] = [];
const started: Started[] = [];
afterEach(async () => {
  for (const each of started.splice(0)) if (each.process.exitCode === null && each.process.signalCode === null) await each.stop("SIGKILL");
  for (const shop of opened.splice(0)) await shop.close();
});

interface HubShop extends Shop {
  readonly hubUrl: string;
  command(...args: string[]): ReturnType<typeof tombolo>;
  /** A process that serves; on another port where one is given. */
  serve(verb?: "serve" | "run", port?: number): Started;
}

/** A shop whose topology serves a hub, applied. */
async function hubShop(hub = ""): Promise<HubShop> {
  const shop = await openShop();
  opened.push(shop);
  const port = await freePort();
  const text = readFileSync(shop.file, "utf8");
  const groups = "groups: [{ name: stores, parent: hub, channels: [sales] }]\n";
  writeFileSync(shop.file, `${text}${groups}hub: { listen: "127.0.0.1:\${HUB_PORT}"${hub} }\n`);
  const env = { ...shop.env, HUB_PORT: String(port) };
  const applied = await tombolo(["-c", shop.file, "apply", "--yes"], env);
  expect(applied.code, applied.stderr).toBe(0);
  return {
    ...shop,
    hubUrl: `http://127.0.0.1:${port}`,
    command: (...args) => tombolo(["-c", shop.file, ...args], env),
    serve(verb = "serve", at = port) {
      const service = start(["-c", shop.file, verb, "--log-format", "json"], { ...env, HUB_PORT: String(at) });
      started.push(service);
      return service;
    },
  };
}

const answers = (url: string) => until(`${url} answers`, async () => (await fetch(`${url}/v1/ping`)).ok);
const get = (url: string, token: string) => fetch(url, { headers: { authorization: `Bearer ${token}` } });

test("two processes serve one hub; a token of the command line works at both, and after it was revoked at none", {
  timeout: 60_000,
}, async () => {
  const shop = await hubShop();
  const made = await shop.command("tokens", "create", "--role", "admin", "--name", "ann");
  expect([made.code, made.stdout]).toEqual([0, expect.stringMatching(/^tbl_[0-9a-f]{16}_[\w-]{43}\n$/)]);
  const token = made.stdout.trim();
  const port = await freePort();
  const [first, second] = [shop.serve(), shop.serve("serve", port)];
  const urls = [shop.hubUrl, `http://127.0.0.1:${port}`];
  for (const url of urls) await answers(url);
  for (const url of urls) expect((await get(`${url}/v1/tokens`, token)).status).toBe(200);
  const list = JSON.parse((await shop.command("tokens", "list", "--json")).stdout);
  expect(list.tokens).toEqual([expect.objectContaining({ role: "admin", name: "ann", state: "in_force" })]);
  expect((await shop.command("tokens", "revoke", list.tokens[0].id)).stdout).toBe(`token ${list.tokens[0].id} (admin, ann): revoked\n`);
  for (const url of urls) expect((await get(`${url}/v1/tokens`, token)).status).toBe(401);
  expect((await shop.command("tokens", "list")).stdout).toBe("no tokens\n");
  const ended = await Promise.all([first, second].map((each) => each.stop("SIGTERM")));
  expect(ended.map(({ code }) => code)).toEqual([0, 0]);
  for (const { stderr } of ended) expect(stderr).not.toContain(token.slice(-43));
});

test("an enrolment code of the command line gives an edge its token; rotate and revoke from there", { timeout: 60_000 }, async () => {
  const shop = await hubShop();
  const refused = await shop.command("tokens", "create", "--role", "node", "--node", "store-7", "--group", "shops");
  expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining("GROUP_UNKNOWN")]);
  const made = await shop.command("tokens", "create", "--role", "node", "--node", "store-7", "--group", "stores", "--json");
  const { secret: code, token: about } = JSON.parse(made.stdout);
  expect(about).toMatchObject({ kind: "code", node: "store-7", group: "stores", params: {} });
  shop.serve();
  await answers(shop.hubUrl);
  const body = JSON.stringify({ code });
  const enrol = () => fetch(`${shop.hubUrl}/v1/enrol`, { method: "POST", headers: { "content-type": "application/json" }, body });
  const enrolled = await enrol();
  expect(enrolled.status).toBe(201);
  const { token } = (await enrolled.json()) as { token: string };
  expect((await enrol()).status).toBe(401);
  expect((await get(`${shop.hubUrl}/v1/tokens`, token)).status).toBe(403);
  const listed = JSON.parse((await shop.command("tokens", "list", "--node", "store-7", "--json")).stdout);
  const rotated = await shop.command("tokens", "rotate", listed.tokens[0].id, "--grace", "1m");
  expect(rotated.code, rotated.stderr).toBe(0);
  expect((await get(`${shop.hubUrl}/v1/tokens`, rotated.stdout.trim())).status).toBe(403);
  const revoked = await shop.command("tokens", "revoke", "--node", "store-7");
  expect(revoked.stdout.split("\n").filter((line) => line.endsWith("revoked"))).toHaveLength(2);
  for (const each of [token, rotated.stdout.trim()]) expect((await get(`${shop.hubUrl}/v1/tokens`, each)).status).toBe(401);
});

test("`run` serves the hub as well, finishes what it has in hand at SIGTERM, and ends with 0", { timeout: 60_000 }, async () => {
  const shop = await hubShop();
  const replicator = shop.serve("run");
  await answers(shop.hubUrl);
  await until("ready", async () => (await fetch(`${shop.url}/readyz`)).status === 200);
  expect(await (await fetch(`${shop.hubUrl}/openapi.json`)).json()).toMatchObject({ openapi: "3.1.0" });
  const page = await (await fetch(`${shop.url}/metrics`)).text();
  expect(page).toContain('tombolo_hub_request_duration_seconds_count{route="/v1/ping",method="GET",status="200"}');
  // a request whose body is still on its way when the signal comes
  const socket = connect(Number(new URL(shop.hubUrl).port), "127.0.0.1");
  let answer = "";
  socket.on("data", (data) => {
    answer += data.toString();
  });
  socket.write(
    "POST /v1/enrol HTTP/1.1\r\nHost: hub\r\nContent-Type: application/json\r\nContent-Length: 12\r\nExpect: 100-continue\r\n\r\n",
  );
  await until("the request is in hand", () => answer.includes("100 Continue"));
  const ended = replicator.stop("SIGTERM");
  await until("new requests are refused", async () => (await fetch(`${shop.hubUrl}/v1/ping`)).status === 503);
  socket.write('{"code":"x"}');
  await until("its answer", () => answer.includes("CODE_INVALID"));
  expect((await ended).code).toBe(0);
});

test("HTTPS with the topology's certificate; SIGHUP takes over a renewed one; a client certificate where one is wanted", {
  timeout: 60_000,
}, async () => {
  const shop = await hubShop(", tls: { cert: hub.crt, key: hub.key, client_ca: ca.crt }");
  for (const name of ["hub.crt", "hub.key", "ca.crt"]) copyFileSync(join(TLS, name), join(shop.folder, name));
  const service = shop.serve();
  const url = shop.hubUrl.replace("http:", "https:");
  const file = (name: string) => readFileSync(join(TLS, name));
  const ping = async (certificate: { cert?: Buffer; key?: Buffer } = {}) => {
    const dispatcher = new Agent({ connect: { ca: file("ca.crt"), ...certificate } });
    try {
      return (await undiciFetch(`${url}/v1/ping`, { dispatcher })).status;
    } finally {
      await dispatcher.destroy();
    }
  };
  const own = { cert: file("client.crt"), key: file("client.key") };
  await until("it answers", async () => (await ping(own)) === 200);
  await expect(ping()).rejects.toThrow();
  await expect(fetch(shop.hubUrl)).rejects.toThrow();
  // another certificate and its key in the place of the first
  for (const kind of ["crt", "key"]) copyFileSync(join(TLS, `other.${kind}`), join(shop.folder, `hub.${kind}`));
  service.process.kill("SIGHUP");
  await until("the renewed certificate", async () => {
    const socket = connectTls({ port: Number(new URL(url).port), host: "127.0.0.1", ca: file("ca.crt"), ...own });
    await once(socket, "secureConnect");
    const name = socket.getPeerCertificate().subject.CN;
    socket.destroy();
    return name === "other";
  });
  expect((await service.stop("SIGTERM")).code).toBe(0);
});

test("SIGHUP takes over what the topology says of the hub, at the same address", { timeout: 60_000 }, async () => {
  const shop = await hubShop();
  const service = shop.serve();
  await answers(shop.hubUrl);
  writeFileSync(shop.file, readFileSync(shop.file, "utf8").replace(/hub: \{ listen: (.*) \}/, "hub: { listen: $1, max_requests: 2 }"));
  service.process.kill("SIGHUP");
  await until("the new limit", async () => (await fetch(`${shop.hubUrl}/v1/ping`)).status === 429);
  writeFileSync(shop.file, readFileSync(shop.file, "utf8").replace("max_requests: 2", "max_requests: none"));
  service.process.kill("SIGHUP");
  await until("the refusal of a file with problems", () => service.stderr().includes("RELOAD_REFUSED"));
  expect((await fetch(`${shop.hubUrl}/v1/ping`)).status).toBe(429);
  expect((await service.stop("SIGTERM")).code).toBe(0);
});

test("purge removes what everybody has, says how much, and leaves a line in the audit trail", { timeout: 60_000 }, async () => {
  const shop = await hubShop();
  const numbers = Array.from({ length: 50 }, (_, at) => `(${at}, 'x')`).join(", ");
  shop.store("store-1").exec(`insert into orders (id, note) values ${numbers}`);
  expect((await shop.command("sync")).code).toBe(0);
  const purged = await shop.command("purge", "--json", "--by", "ann");
  expect(purged.code, purged.stderr).toBe(0);
  const { purged: nodes } = JSON.parse(purged.stdout);
  expect(nodes.map(({ node }: { node: string }) => node)).toEqual(["hub", "store-1"]);
  // the newest entry of a SQLite log stays: the next one's number is counted from it
  expect(nodes[1].rows_after).toBe(1);
  const { rows } = await shop.hub.query("select who, what from tombolo.audit where what = 'log purged'");
  expect(rows).toEqual([{ who: "ann", what: "log purged" }]);
  const again = await shop.command("purge", "--node", "store-1");
  expect(again.stdout, again.stderr).toMatch(/^store-1: nothing to remove, 1 row and \d+ B are left\n$/);
});

test("what keeps a hub from being served is said, with what to do", { timeout: 60_000 }, async () => {
  const shop = await hubShop(", tls: { cert: hub.crt, key: hub.key }");
  expect(await shop.serve().finished).toMatchObject({ code: 2, stderr: expect.stringContaining("HUB_TLS") });
  copyFileSync(join(TLS, "hub.crt"), join(shop.folder, "hub.crt"));
  copyFileSync(join(TLS, "other.key"), join(shop.folder, "hub.key"));
  expect(await shop.serve().finished).toMatchObject({ code: 2, stderr: expect.stringContaining("HUB_TLS") });
  const text = readFileSync(shop.file, "utf8");
  writeFileSync(shop.file, text.replace(/hub: \{ listen.*/, 'hub: { listen: "0.0.0.0:0" }'));
  expect(await shop.command("serve")).toMatchObject({ code: 2, stderr: expect.stringContaining("HUB_PLAIN_HTTP") });
  writeFileSync(shop.file, text.replace(/hub: \{ listen.*/, ""));
  expect(await shop.command("serve")).toMatchObject({ code: 2, stderr: expect.stringContaining("HUB_NOT_CONFIGURED") });
});
