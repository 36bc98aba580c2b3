import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { flipped } from "./faulty-proxy.ts";
import type { Random } from "./random.ts";

/** `cut` breaks what is under way and takes nobody; `stalled` keeps connections and brings nothing. */
export type LineState = "open" | "cut" | "stalled" | BadLine;

/** Brings most of what it is given, and of the rest some twice, some at a later time, some in part, some damaged, some not at all. */
export interface BadLine {
  readonly random: Random;
  /** Of the pieces. */
  readonly share: number;
}

/** A line to a server, whose state can be changed while it is used. */
export interface Line {
  readonly port: number;
  readonly url: string;
  set(state: LineState): void;
  close(): Promise<void>;
}

/** How long a piece that comes again is on its way: what was asked after it has been answered by then. */
const LATE_MS = 150;
const HARMS = ["lose", "truncate", "flip", "repeat", "repeat later"] as const;

export async function openLine(target: number): Promise<Line> {
  const pairs = new Set<readonly [Socket, Socket]>();
  let state: LineState = "open";
  const harm = (): (typeof HARMS)[number] | undefined =>
    typeof state === "object" && state.random.chance(state.share) ? state.random.pick(HARMS) : undefined;
  const server = createServer((client) => {
    client.on("error", () => undefined);
    if (state === "cut") {
      client.destroy();
      return;
    }
    const upstream = connect(target, "127.0.0.1");
    upstream.on("error", () => undefined);
    const pair = [client, upstream] as const;
    pairs.add(pair);
    for (const [from, to] of [pair, [upstream, client] as const]) {
      from.on("data", (bytes: Buffer) => pass(pair, to, bytes));
      from.on("close", () => {
        pairs.delete(pair);
        to.destroy();
      });
    }
    if (state === "stalled") for (const socket of pair) socket.pause();
  }).listen(0, "127.0.0.1");
  const pass = (pair: readonly [Socket, Socket], to: Socket, bytes: Buffer): void => {
    const isRequest = to === pair[1];
    switch (harm()) {
      case "lose":
        breakOff(pair);
        return;
      case "truncate":
        to.write(bytes.subarray(0, bytes.length / 2), () => breakOff(pair));
        return;
      case "flip":
        to.write(damaged(bytes, state as BadLine));
        return;
      case "repeat":
        if (isRequest) again(bytes);
        break;
      case "repeat later":
        if (isRequest) setTimeout(() => again(bytes), LATE_MS).unref();
        break;
      default:
    }
    to.write(bytes);
  };
  /** The very same bytes once more, whoever waits for the answer. */
  const again = (bytes: Buffer): void => {
    const other = connect(target, "127.0.0.1").on("error", () => undefined);
    other.on("data", () => other.destroy());
    other.setTimeout(2_000, () => other.destroy());
    other.write(bytes);
  };
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    set(next) {
      state = next;
      for (const pair of pairs) {
        if (next === "cut") breakOff(pair);
        for (const socket of pair) next === "stalled" ? socket.pause() : socket.resume();
      }
    },
    async close() {
      server.close();
      for (const pair of pairs) breakOff(pair);
      await once(server, "close");
    },
  };
}

function breakOff(pair: readonly [Socket, Socket]): void {
  for (const socket of pair) socket.destroy();
}

/** One bit of what a request or an answer holds. Its lines of HTTP are left alone: what is wrong there is wrong until somebody looks, on any line without TLS. */
function damaged(bytes: Buffer, { random }: BadLine): Buffer {
  const from = bytes
    .subarray(0, 5)
    .toString("latin1")
    .match(/^(HTTP\/|GET |PUT |POST)/)
    ? bytes.indexOf("\r\n\r\n") + 4
    : 0;
  return from === 3 || from >= bytes.length ? bytes : flipped(bytes, from + random.int(bytes.length - from));
}
