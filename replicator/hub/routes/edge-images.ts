import type { FastifyReply } from "fastify";
import { z } from "zod";
import { TomboloError } from "../../change/error.ts";
import type { Caller } from "../caller.ts";
import { callerOf } from "../caller.ts";
import type { HubContext, HubServer } from "../context.ts";
import type { EdgeCopies } from "../edge-copies.ts";
import type { ImageDesk } from "../images/image-desk.ts";
import type { Image, ImageStore } from "../images/image-store.ts";
import { bigNumber, named } from "../schemas/common.ts";
import { inTurn, type Turns } from "../turns.ts";

const NODE = { access: ["node"] } as const;
const runParam = z.object({ node: named, run: bigNumber.transform(BigInt) });
/** Below what an edge takes for silence. */
const WAIT_MS = 20_000;
const STILL = Symbol("still");

const imageSchema = z.object({
  id: z.string(),
  bytes: z.number(),
  sha256: z.string().meta({ description: "Of the whole; the ETag as well." }),
});

/** Rows that were read once for many edges: see docs/full-sync.md. */
export function edgeImageRoutes(
  server: HubServer,
  hub: HubContext,
  { copies, store, images, looks }: { copies: (caller: Caller) => Promise<EdgeCopies>; store: ImageStore; images: ImageDesk; looks: Turns },
): void {
  server.post(
    "/v1/nodes/:node/full-sync/:run/image",
    {
      config: NODE,
      schema: {
        operationId: "edgeFullSyncImage",
        tags: ["edges"],
        summary: "All rows of this full sync as one file, where other edges are given the same; waits a while for one that is being made",
        params: runParam,
        response: {
          200: z.object({
            image: imageSchema.nullable(),
            wait: z
              .boolean()
              .meta({ description: "One is being made: ask again. Where it is false and there is none, take the rows in chunks." }),
          }),
        },
      },
    },
    async (request) => {
      const place = await copies(callerOf(request));
      const { run } = request.params;
      const offered = await inTurn(looks, () => place.image(images, run));
      const found = offered === null || "id" in offered ? offered : await within(offered.make(), WAIT_MS, hub);
      if (found === STILL) return { image: null, wait: true };
      if (found === null) return { image: null, wait: false };
      await place.takes(run, found);
      const { id, bytes, sha256 } = found;
      return { image: { id, bytes, sha256 }, wait: false };
    },
  );
  server.get(
    "/v1/nodes/:node/full-sync/:run/image/:id",
    {
      config: NODE,
      schema: {
        operationId: "edgeFullSyncImageBytes",
        tags: ["edges"],
        summary: "Its bytes, or a range of them",
        description:
          "As `POST …/image` has offered it to this edge. `Range: bytes=N-` goes on with what was cut off; with `If-Range` and the ETag, only of the same image. What is in it is as in the answer of `POST …/rows` for an edge that has nothing.",
        params: runParam.extend({ id: z.uuid() }),
        headers: z.looseObject({ range: z.string().optional(), "if-range": z.string().optional() }),
        response: {
          200: z.any().meta({ description: "All of it.", format: "binary" }),
          206: z.any().meta({ description: "From there on.", format: "binary" }),
        },
      },
    },
    async (request, reply) => {
      const place = await copies(callerOf(request));
      const image = store.get(request.params.id);
      // its name is no right to it: who may have these rows is looked up anew
      if (image === undefined || !(await place.mayHave(images, request.params.run, image))) throw gone();
      return send(store, { image, reply, range: request.headers.range, ifRange: request.headers["if-range"] });
    },
  );
}

async function send(
  store: ImageStore,
  { image, reply, range, ifRange }: { image: Image; reply: FastifyReply; range: string | undefined; ifRange: string | undefined },
): Promise<FastifyReply> {
  const etag = `"${image.sha256}"`;
  const wanted = ifRange === undefined || ifRange === etag ? rangeOf(range, image.bytes) : null;
  void reply.headers({ "accept-ranges": "bytes", etag });
  if (wanted === "beyond") {
    void reply.header("content-range", `bytes */${image.bytes}`);
    return reply.code(416).send();
  }
  const { start, end } = wanted ?? { start: 0, end: image.bytes - 1 };
  const bytes = await store.read(image, { start, end }).catch(() => Promise.reject(gone()));
  void reply.type("application/octet-stream").header("content-length", end - start + 1);
  if (wanted !== null) void reply.code(206).header("content-range", `bytes ${start}-${end}/${image.bytes}`);
  return reply.send(bytes);
}

/** Null for all: also where it is none that is understood, as RFC 9110 wants it. */
function rangeOf(text: string | undefined, bytes: number): { start: number; end: number } | "beyond" | null {
  const [, from, to] = /^bytes=(\d*)-(\d*)$/.exec(text ?? "") ?? [];
  if (from === undefined || to === undefined || from + to === "") return null;
  const start = from === "" ? Math.max(0, bytes - Number(to)) : Number(from);
  const end = from === "" || to === "" ? bytes - 1 : Math.min(Number(to), bytes - 1);
  if (start >= bytes || (from === "" && Number(to) === 0)) return "beyond";
  return end < start ? null : { start, end };
}

async function within<T>(
  work: Promise<T>,
  ms: number,
  { closing, timers }: Pick<HubContext, "closing" | "timers">,
): Promise<T | typeof STILL> {
  const over = new AbortController();
  try {
    const waited = timers.sleep(ms, AbortSignal.any([closing, over.signal])).then((): typeof STILL => STILL);
    return await Promise.race([work, waited]);
  } finally {
    over.abort();
  }
}

const gone = (): TomboloError =>
  new TomboloError("the image of the rows is not there any more", {
    code: "IMAGE_GONE",
    kind: "retry",
    hint: "Nothing; the rows are sent in chunks, or by another image.",
  });
