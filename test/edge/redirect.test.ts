import { once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { HubClient } from "../../replicator/edge/hub-client.ts";

async function listening(answer: RequestListener): Promise<{ server: Server; url: string }> {
  const server = createServer(answer).listen(0, "127.0.0.1");
  await once(server, "listening");
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

test.each([301, 302, 303, 307, 308])(
  "an answer that points elsewhere is not followed: the token stays with the hub (%d)",
  async (status) => {
    const asked: (string | undefined)[] = [];
    const stranger = await listening((request, response) => {
      asked.push(request.headers.authorization);
      response.end("{}");
    });
    const hub = await listening((_, response) => {
      response.writeHead(status, { location: `${stranger.url}/v1/ping` }).end();
    });
    const client = new HubClient({ hub: hub.url, token: "secret" });
    try {
      await expect(client.send({ method: "GET", path: "/v1/ping" })).rejects.toMatchObject({ code: "HUB_UNREACHABLE" });
      await expect(client.send({ method: "POST", path: "/v1/enrol", body: "{}" })).rejects.toMatchObject({ code: "HUB_UNREACHABLE" });
      expect(asked).toEqual([]);
    } finally {
      await client.close();
      stranger.server.close();
      hub.server.close();
    }
  },
);
