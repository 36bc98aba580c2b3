import type { FastifyRequest } from "fastify";
import { lineCut } from "../change/line-cut.ts";

/** The bytes of a body that no parser has read. Throws `LINE_CUT` (retry) where the line ends before they are all here. */
export async function* bodyBytes({ body, raw }: Pick<FastifyRequest, "body" | "raw">): AsyncGenerator<Uint8Array> {
  try {
    yield* body as AsyncIterable<Uint8Array>;
  } catch (error) {
    // before a database that was reading them says that it is the one that went away
    if (raw.complete) throw error;
    throw lineCut("the line was cut before the request was whole", error);
  }
}
