import { once } from "node:events";
import { type AddressInfo, connect as connectTo, createServer, type Socket } from "node:net";
import pg from "pg";
import { expect, test } from "vitest";
import { RowCursor } from "../../replicator/node/postgres/row-cursor.ts";
import { serverUrl } from "../helpers/postgres.ts";

const COMMAND_COMPLETE = "C".charCodeAt(0);

/** How many bytes of the server's messages go up to the end of the first that says that a command is complete; null where none does. */
function completeAt(bytes: Buffer): number | null {
  for (let at = 0; at + 5 <= bytes.length; ) {
    const end = at + 1 + bytes.readUInt32BE(at + 1);
    if (bytes[at] === COMMAND_COMPLETE && end <= bytes.length) return end;
    at = end;
  }
  return null;
}

test("a connection that ends between the last row and the server's last word is an error to whoever reads, not a wait without end", async () => {
  const url = new URL(await serverUrl());
  let armed = false;
  const sockets: Socket[] = [];
  const proxy = createServer((client) => {
    const server = connectTo(Number(url.port), url.hostname);
    sockets.push(client, server);
    for (const socket of [client, server]) socket.on("error", () => undefined);
    client.pipe(server);
    server.on("data", (bytes: Buffer) => {
      const end = armed ? completeAt(bytes) : null;
      client.write(end === null ? bytes : bytes.subarray(0, end));
      if (end === null) return;
      client.end();
      server.destroy();
    });
  });
  await once(proxy.listen(0, "127.0.0.1"), "listening");
  const behind = new URL(url);
  behind.port = String((proxy.address() as AddressInfo).port);
  behind.hostname = "127.0.0.1";
  const client = new pg.Client({ connectionString: behind.href });
  client.on("error", () => undefined);
  await client.connect();
  try {
    const cursor = new RowCursor<[number]>(client, "select i from generate_series(1, 5) i", []);
    expect(await cursor.read(3)).toHaveLength(3);
    armed = true;
    await expect(cursor.read(10)).rejects.toThrow("terminated");
  } finally {
    await client.end().catch(() => undefined);
    for (const socket of sockets) socket.destroy();
    proxy.close();
  }
});
