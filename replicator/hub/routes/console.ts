import type { FastifyReply, FastifyRequest } from "fastify";
import { TomboloError } from "../../change/error.ts";
import { type ConsoleFile, type Encoding, readConsole } from "../console-files.ts";
import type { RoutePlugin } from "../context.ts";

/** Nothing but what the hub itself serves: no inline script, no other address, in nobody's frame. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const HEADERS = {
  "content-security-policy": POLICY,
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  vary: "accept-encoding",
};

const PUBLIC = { config: { access: "public" }, schema: { hide: true } } as const;
const YEAR_SECONDS = 31_536_000;

/** The web console at /console/. Its files are everybody's; whatever it shows it asks of the routes, with a token. */
export const consoleRoutes =
  (folder: string): RoutePlugin =>
  (server) => {
    let read: Promise<ReadonlyMap<string, ConsoleFile>> | undefined;
    const find = async (path: string): Promise<ConsoleFile> => {
      read ??= readConsole(folder);
      const files = await read;
      // every page of the console is the same document, which looks at its own address
      const file = files.get(path) ?? (path.startsWith("assets/") ? undefined : files.get("index.html"));
      if (file !== undefined) return file;
      const hint = files.size === 0 ? "Run `npm run build`." : "Load the console anew: it has changed.";
      throw new TomboloError("the console has no such file", { code: "ROUTE_UNKNOWN", kind: "usage", hint });
    };
    for (const path of ["/", "/console"]) server.get(path, PUBLIC, async (_, reply) => reply.redirect("/console/", 302));
    server.get("/console/*", PUBLIC, async (request, reply) =>
      sendFile(await find((request.params as { readonly "*": string })["*"]), request, reply),
    );
  };

async function sendFile(file: ConsoleFile, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const encoding = encodingFor(request.headers["accept-encoding"]);
  const { body, etag } = await file.as(encoding);
  void reply.headers({ ...HEADERS, etag, "cache-control": file.isImmutable ? `public, max-age=${YEAR_SECONDS}, immutable` : "no-cache" });
  if (request.headers["if-none-match"] === etag) return reply.code(304).send();
  if (encoding !== "identity") void reply.header("content-encoding", encoding);
  return reply.header("content-type", file.type).send(body);
}

function encodingFor(accepted: string | readonly string[] | undefined): Encoding {
  const names = String(accepted ?? "")
    .split(",")
    .map((each) => each.trim())
    .filter((each) => !/;\s*q=0(\.0*)?$/.test(each))
    .map((each) => each.split(";")[0]);
  if (names.includes("br")) return "br";
  return names.includes("gzip") ? "gzip" : "identity";
}
