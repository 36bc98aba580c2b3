import { once } from "node:events";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { HubClient } from "../../replicator/edge/hub-client.ts";
import { takeNewToken } from "../../replicator/edge/new-token.ts";
import { issue } from "../../replicator/hub/issue.ts";
import { edgeWorld } from "../helpers/edge-world.ts";
import { openHub } from "../helpers/hub.ts";
import { both } from "../helpers/pair.ts";

/** In front of a hub: changes a letter of each token that it gives while `damages` says so, and loses the answer to a look at the status where `loses` does. */
async function damaging(
  hub: string,
  { damages, loses }: { readonly damages: () => boolean; readonly loses: () => boolean },
): Promise<{ readonly url: string; close(): void }> {
  const server = createServer((asked, answer) => {
    const { method, url, headers } = asked;
    const passed = request(`${hub}${url}`, { method, headers }, (told) => {
      const pieces: Buffer[] = [];
      told.on("data", (piece) => pieces.push(piece));
      told.on("end", () => {
        if (url?.endsWith("/status") && loses()) return void asked.socket.destroy();
        const text = Buffer.concat(pieces).toString();
        const changed = damages()
          ? text.replace(/(tbl_[0-9a-f]{16}_)(.)/, (_, head, letter) => `${head}${letter === "x" ? "y" : "x"}`)
          : text;
        answer.writeHead(told.statusCode ?? 500, told.headers).end(changed);
      });
    });
    asked.pipe(passed);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close: () => void server.close() };
}

test("a new token that comes damaged is not taken: the old one goes on, and the next that works is taken", async () => {
  const world = await edgeWorld({
    engine: "sqlite",
    schema: both("create table item (id bigint primary key)"),
    tables: [{ name: "item" }],
  });
  const hub = await openHub({ topology: world.topology, nodes: [world.database.node], authenticate: "tokens" });
  let damages = true;
  let losing = 0;
  const line = await damaging(hub.url, { damages: () => damages, loses: () => losing-- > 0 });
  const wanted = { role: "node", name: null, node: "shop", group: "edges", params: {}, lifetimeMs: null, codeLifetimeMs: 60_000 } as const;
  const { secret } = await issue(world.database.node.tokens, world.topology, wanted, "test");
  const enrolled = await fetch(`${hub.url}/v1/enrol`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ code: secret }),
  });
  const { token } = (await enrolled.json()) as { token: string };
  const credential = { hub: line.url, node: "shop", token, ca: null };
  const client = new HubClient(credential);
  try {
    await expect(takeNewToken(client, credential)).rejects.toMatchObject({ code: "HUB_UNREACHABLE", kind: "connect" });
    const works = (): Promise<unknown> => client.send({ method: "GET", path: "/v1/nodes/shop/status" });
    await works();
    damages = false;
    const taken = await takeNewToken(client, credential);
    expect(taken.token).not.toBe(token);
    await works();
    // the hub has seen it used, and gives no other for the old one
    losing = 2;
    const next = await takeNewToken(client, { ...credential, ...taken });
    expect([taken.token, token]).not.toContain(next.token);
    losing = 0;
    await works();
  } finally {
    await client.close();
    line.close();
    await hub.close();
    await world.close();
  }
});
