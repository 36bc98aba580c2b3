import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** What PgBouncer does with the parameter `options` of a session: it refuses it, or, told to ignore it, leaves it out. */
export type OnOptions = "refuse" | "ignore";

/** In front of a server, as a pooler whose sessions last. */
export async function droppingPooler(target: string, onOptions: OnOptions): Promise<{ readonly url: string; close(): Promise<void> }> {
  const { port, hostname } = new URL(target);
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("error", () => undefined).on("close", () => sockets.delete(socket));
    }
    client.once("data", (first: Buffer) => {
      const { startup, had } = withoutOptions(first);
      if (had && onOptions === "refuse") {
        client.end(refusal("unsupported startup parameter: options"));
        upstream.destroy();
        return;
      }
      upstream.write(startup);
      client.pipe(upstream);
      upstream.pipe(client);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = new URL(target);
  url.hostname = "127.0.0.1";
  url.port = String((server.address() as AddressInfo).port);
  return {
    url: url.href,
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

/** A startup message: length, protocol, then names and values that end with a zero each, and a zero. */
function withoutOptions(message: Buffer): { startup: Buffer; had: boolean } {
  const texts = message.subarray(8, -2).toString().split("\0");
  const pairs = Array.from({ length: texts.length / 2 }, (_, at) => [texts[at * 2], texts[at * 2 + 1]]);
  const kept = pairs.filter(([name]) => name !== "options");
  const body = Buffer.from(`${kept.map(([name, value]) => `${name}\0${value}\0`).join("")}\0`);
  const head = Buffer.alloc(8);
  head.writeInt32BE(body.length + 8, 0);
  message.copy(head, 4, 4, 8);
  return { startup: Buffer.concat([head, body]), had: kept.length < pairs.length };
}

function refusal(message: string): Buffer {
  const body = Buffer.from(`SFATAL\0C08P01\0M${message}\0\0`);
  const head = Buffer.alloc(5);
  head.write("E");
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}
