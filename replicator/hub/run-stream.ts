import type { FastifyReply, FastifyRequest } from "fastify";
import type { HubContext } from "./context.ts";
import { problemOf } from "./problem.ts";

const PROGRESS_EVERY_MS = 1_000;
/** Proxies cut off what is silent for longer. */
const HEARTBEAT_MS = 15_000;

export interface RunStream {
  /** Aborts when the caller has gone, or the service ends: the run is cancelled. */
  readonly signal: AbortSignal;
  /** At most one a second gets through, and each that tells of another phase. */
  progress(data: Readonly<Record<string, unknown>>): void;
  event(name: string, data: object): void;
}

/**
 * Runs something that takes its time and tells of it in server-sent events: `progress`, what the run tells of besides, and in the end `done` or
 * `problem`. The run lives as long as the request: who closes it cancels it, and nothing has to be remembered in the process.
 */
export async function streamRun(
  hub: HubContext,
  { request, reply }: { readonly request: FastifyRequest; readonly reply: FastifyReply },
  run: (stream: RunStream) => Promise<object>,
): Promise<void> {
  const { raw } = reply.hijack();
  const gone = new AbortController();
  raw.once("close", () => gone.abort());
  raw.writeHead(200, {
    "content-type": "text/event-stream",
    "cache-control": "no-store",
    "x-accel-buffering": "no",
    "x-request-id": request.id,
  });
  // whoever asked knows at once that it was taken; what is told first may take a while
  raw.flushHeaders();
  const event = (name: string, data: object): void => {
    if (!raw.writableEnded) raw.write(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
  };
  const heartbeat = setInterval(() => raw.write(":\n\n"), HEARTBEAT_MS);
  let toldAt = Number.NEGATIVE_INFINITY;
  let told: unknown;
  const progress = (data: Readonly<Record<string, unknown>>): void => {
    const now = hub.timers.now();
    if (now - toldAt < PROGRESS_EVERY_MS && data.phase === told) return;
    toldAt = now;
    told = data.phase;
    event("progress", data);
  };
  try {
    event("done", await run({ signal: AbortSignal.any([gone.signal, hub.closing]), progress, event }));
  } catch (error) {
    const problem = problemOf(error, request.id);
    hub.log.warn({ request_id: request.id, route: request.routeOptions.url ?? null, err: error }, "a run failed");
    event("problem", problem);
  } finally {
    clearInterval(heartbeat);
    raw.end();
  }
}
