import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** What happens to the bytes of one connection. `after`: so many bytes of the answers (or of the requests, for `flip request`) pass unharmed. */
export type Fate =
  | { readonly kind: "none" }
  /** Connections are kept: it is each answer that something may happen to. */
  | { readonly kind: "each answer"; readonly next: () => "none" | "lose answer" | "truncate" | "repeat" }
  /** `flip`: the byte there is damaged besides. */
  | { readonly kind: "truncate"; readonly after: number; readonly flip?: number }
  | { readonly kind: "lose answer" | "flip answer" | "flip request" | "repeat" | "delay"; readonly after: number };

export interface FaultyProxy {
  readonly url: string;
  /** Connections by what happened to them. */
  readonly fates: ReadonlyMap<Fate["kind"], number>;
  close(): Promise<void>;
}

/** A bad line in front of a server: `next` decides about each connection. */
export async function faultyProxy(target: string, next: () => Fate): Promise<FaultyProxy> {
  const { port, hostname } = new URL(target);
  const fates = new Map<Fate["kind"], number>();
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const fate = next();
    fates.set(fate.kind, (fates.get(fate.kind) ?? 0) + 1);
    const upstream = connect(Number(port), hostname);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("error", () => undefined).on("close", () => sockets.delete(socket));
    }
    const requests: Buffer[] = [];
    let sent = 0;
    let answered = 0;
    client.on("data", (bytes: Buffer) => {
      requests.push(bytes);
      const now = fate.kind === "flip request" ? flipped(bytes, fate.after - sent) : bytes;
      sent += bytes.length;
      upstream.write(now);
    });
    upstream.on("data", (came: Buffer) => {
      const bytes = fate.kind === "truncate" && fate.flip !== undefined ? flipped(came, fate.flip - answered) : came;
      if (fate.kind === "each answer") {
        const now = fate.next();
        fates.set(now, (fates.get(now) ?? 0) + 1);
        if (now === "lose answer") client.destroy();
        else if (now === "truncate") client.write(bytes.subarray(0, bytes.length / 2), () => client.destroy());
        else client.write(bytes);
        if (now === "repeat") repeat(requests.slice(-1));
        return;
      }
      const left = fate.kind === "none" ? 0 : fate.after - answered;
      answered += bytes.length;
      if (fate.kind === "lose answer" && left < bytes.length) client.destroy();
      else if (fate.kind === "truncate" && left < bytes.length) client.write(bytes.subarray(0, Math.max(left, 0)), () => client.destroy());
      else if (fate.kind === "flip answer") client.write(flipped(bytes, left));
      else if (fate.kind === "delay") setTimeout(() => client.write(bytes), 30);
      else client.write(bytes);
    });
    client.on("close", () => {
      if (fate.kind === "repeat") repeat(requests);
      upstream.destroy();
    });
    upstream.on("close", () => client.destroy());
  });
  /** The very same bytes once more, whoever waits for the answer. */
  const repeat = (requests: readonly Buffer[]): void => {
    const again = connect(Number(port), hostname);
    sockets.add(again);
    again.on("error", () => undefined).on("close", () => sockets.delete(again));
    again.on("data", () => again.destroy());
    for (const bytes of requests) again.write(bytes);
  };
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    fates,
    async close() {
      server.close();
      for (const socket of sockets) socket.destroy();
      await once(server, "close");
    },
  };
}

/** With one bit changed, where the place is in these bytes. */
export function flipped(bytes: Buffer, at: number): Buffer {
  if (at < 0 || at >= bytes.length) return bytes;
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] as number) ^ (1 << (at % 8));
  return copy;
}
