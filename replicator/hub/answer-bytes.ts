import { Readable } from "node:stream";
import type { FastifyRequest } from "fastify";
import type { HubContext } from "./context.ts";

/**
 * Bytes as an answer. What goes wrong once it has begun can only cut it off, which at the other end looks like a line that broke: so it is logged here. A caller who has
 * gone ends the reading, and is no error.
 */
export function answerBytes(
  { log }: Pick<HubContext, "log">,
  { id, raw, routeOptions }: FastifyRequest,
  bytes: AsyncIterable<Uint8Array>,
  options: { readonly highWaterMark?: number } = {},
): Readable {
  // no generator: one that was never read would not let go of what it reads from
  const iterator = bytes[Symbol.asyncIterator]();
  let hasLeft = false;
  const told: AsyncIterableIterator<Uint8Array> = {
    next: async () => {
      try {
        return await iterator.next();
      } catch (error) {
        if (!hasLeft && !raw.socket.destroyed)
          log.warn({ request_id: id, route: routeOptions.url ?? null, err: error }, "an answer was cut off");
        throw error;
      }
    },
    return: async () => {
      hasLeft = true;
      return (await iterator.return?.()) ?? { done: true, value: undefined };
    },
    [Symbol.asyncIterator]: () => told,
  };
  return Readable.from(told, { objectMode: false, ...options });
}
