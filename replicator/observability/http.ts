import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { TomboloError } from "../change/error.ts";
import type { Metrics } from "./metrics.ts";

export interface HttpOptions {
  readonly host: string;
  /** 0 for a free one. */
  readonly port: number;
  readonly metrics: Metrics;
  /** Reasons why not; empty when this process leads and every node is open. */
  readonly notReady: () => readonly string[];
  /** What `tombolo status --json` prints. */
  readonly status: () => Promise<unknown>;
  readonly onError: (error: unknown) => void;
}

export interface HttpServer {
  readonly url: string;
  close(): Promise<void>;
}

type Answer = { readonly code: number; readonly type: string; readonly body: string };

const json = (code: number, value: unknown): Answer => ({
  code,
  type: "application/json; charset=utf-8",
  body: `${JSON.stringify(value)}\n`,
});

/** Serves /metrics, /healthz, /readyz and /status, and nothing else. Throws `HTTP_LISTEN` (usage) when the address is taken. */
export async function startHttp(options: HttpOptions): Promise<HttpServer> {
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? "/", "http://localhost").pathname;
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.setHeader("allow", "GET, HEAD");
      return send(response, json(405, { code: "METHOD_NOT_ALLOWED" }));
    }
    answer(path, options).then(
      (result) => send(response, result),
      (error: unknown) => {
        options.onError(error);
        send(response, json(500, { code: "INTERNAL" }));
      },
    );
  });
  await listen(server, options);
  const { port } = server.address() as AddressInfo;
  const host = options.host.includes(":") ? `[${options.host}]` : options.host;
  return { url: `http://${host}:${port}`, close: () => close(server) };
}

async function answer(path: string, options: HttpOptions): Promise<Answer> {
  switch (path) {
    case "/metrics": {
      const { registry } = options.metrics;
      return { code: 200, type: registry.contentType, body: await registry.metrics() };
    }
    case "/healthz":
      return json(200, { status: "ok" });
    case "/readyz": {
      const reasons = options.notReady();
      return json(reasons.length === 0 ? 200 : 503, { ready: reasons.length === 0, reasons });
    }
    case "/status":
      return json(200, await options.status());
    default:
      return json(404, { code: "NOT_FOUND", paths: ["/metrics", "/healthz", "/readyz", "/status"] });
  }
}

function send(response: ServerResponse, { code, type, body }: Answer): void {
  response.writeHead(code, { "content-type": type, "cache-control": "no-store" }).end(response.req.method === "HEAD" ? undefined : body);
}

function listen(server: Server, { host, port }: HttpOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) => {
      const reason = cause.code === "EADDRINUSE" ? "another process listens there" : (cause.code ?? "unknown error");
      const hint = "Set metrics.listen in the topology to a free address, or stop the other process.";
      reject(new TomboloError(`cannot serve metrics on ${host}:${port}: ${reason}`, { code: "HTTP_LISTEN", kind: "usage", hint, cause }));
    });
    server.listen({ host, port }, resolve);
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
