import type { FastifyRequest } from "fastify";

declare module "fastify" {
  interface FastifyContextConfig {
    /** The body may be as long as a packet is, over a line of any speed: it has to move, and not to end in time. */
    transfer?: boolean;
  }
}

/** How long a client may take over a body. */
export interface BodyTimes {
  /** All of it, milliseconds. */
  readonly wholeMs: number;
  /** Of a transfer: so many bytes have to come in so many milliseconds. */
  readonly leastBytes: number;
  readonly everyMs: number;
}

/** 17 bytes a second: slower is no line, but somebody who holds a connection. */
export const BODY_TIMES: BodyTimes = { wholeMs: 300_000, leastBytes: 1_024, everyMs: 60_000 };

/** Cuts a body off that does not come. What waits here because the hub is slow to read it does not count against the client. */
export function watchBody({ raw, routeOptions }: FastifyRequest, { wholeMs, leastBytes, everyMs }: BodyTimes): void {
  const cut = (): void => void raw.destroy();
  const whole = (): void => {
    if (!raw.complete) cut();
  };
  let before = raw.socket.bytesRead;
  const moving = (): void => {
    const came = raw.socket.bytesRead - before;
    before += came;
    if (!raw.complete && came < leastBytes && raw.readableLength === 0) cut();
  };
  const timer = routeOptions.config.transfer === true ? setInterval(moving, everyMs) : setTimeout(whole, wholeMs);
  timer.unref();
  raw.once("close", () => clearTimeout(timer));
}
