import { Readable } from "node:stream";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { HubContext } from "./context.ts";
import { problemOf } from "./problem.ts";

/** Silence for longer makes proxies, and the other end, give up. */
const SIGN_OF_LIFE_MS = 10_000;
const STILL = Symbol("still");

/**
 * Answers with the JSON that the work comes to, however long it takes: blank lines are sent before it. What goes wrong after the first of them is told as
 * `{"problem": …}`, for the status has gone out by then.
 */
export async function slowAnswer(
  hub: Pick<HubContext, "log">,
  { request, reply }: { readonly request: FastifyRequest; readonly reply: FastifyReply },
  work: Promise<object>,
  everyMs = SIGN_OF_LIFE_MS,
): Promise<FastifyReply> {
  const first = await within(work, everyMs);
  reply.type("application/json").serializer(String);
  if (first !== STILL) return reply.send(JSON.stringify(first));
  const lines = (async function* () {
    for (;;) {
      yield "\n";
      try {
        const done = await within(work, everyMs);
        if (done === STILL) continue;
        yield JSON.stringify(done);
      } catch (error) {
        hub.log.warn({ request_id: request.id, route: request.routeOptions.url ?? null, err: error }, "a request failed");
        yield JSON.stringify({ problem: problemOf(error, request.id) });
      }
      return;
    }
  })();
  return reply.send(Readable.from(lines, { objectMode: false }));
}

async function within(work: Promise<object>, ms: number): Promise<object | typeof STILL> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const waited = new Promise<typeof STILL>((resolve) => {
    timer = setTimeout(resolve, ms, STILL);
  });
  try {
    return await Promise.race([work, waited]);
  } finally {
    clearTimeout(timer);
  }
}
