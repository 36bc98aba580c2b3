import { readFileSync } from "node:fs";
import { Agent, type Dispatcher, request } from "undici";
import { z } from "zod";
import { type ErrorKind, TomboloError } from "../change/error.ts";
import { productVersion } from "../lifecycle/product-version.ts";
import { isLoopback } from "../topology/loopback.ts";

export interface HubClientOptions {
  /** The hub's address, with its scheme. */
  readonly hub: string;
  /** Missing before the edge has enrolled. */
  readonly token?: string;
  /** Path of a PEM file. */
  readonly ca?: string | null;
}

export interface HubRequest {
  readonly method: "GET" | "PUT" | "POST";
  readonly path: string;
  readonly type?: string;
  readonly body?: string | AsyncIterable<Uint8Array>;
  readonly headers?: { readonly [name: string]: string };
  readonly signal?: AbortSignal;
  /** How long the hub may take before it begins to answer, beyond the usual. */
  readonly waitMs?: number;
}

/** Silence that is longer is a connection that has died: the network changed, or this machine slept. */
const SILENCE_MS = 30_000;
const CONNECT_MS = 10_000;
const USER_AGENT = `tombolo/${productVersion()}`;

const problem = z.looseObject({ code: z.string(), detail: z.string(), hint: z.string().nullable().optional() });

/** Speaks to one hub: connections are kept, answers that are none become errors with the hub's code, no redirect is followed. */
export class HubClient {
  readonly #base: URL;
  #token: string | undefined;
  readonly #agent: Agent;
  /** The hub's clock minus this process' own count of milliseconds, which nobody sets. */
  #aheadMs: number | null = null;

  /** Throws `HUB_ADDRESS` or `HUB_PLAIN_HTTP` (usage): a token does not travel in the clear. */
  constructor({ hub, token, ca = null }: HubClientOptions) {
    this.#base = baseOf(hub);
    this.#token = token;
    this.#agent = new Agent({
      connections: 2,
      keepAliveTimeout: 60_000,
      bodyTimeout: SILENCE_MS,
      connect: { timeout: CONNECT_MS, ...(ca === null ? {} : { ca: certificates(ca) }) },
    });
  }

  /** The answer, once it has begun. Throws the hub's error, `HUB_UNREACHABLE` (connect), or what aborted the signal. */
  async send({ method, path, type, body, signal, waitMs = 0, headers: more = {} }: HubRequest): Promise<Dispatcher.ResponseData> {
    const headers: Record<string, string> = {
      "user-agent": USER_AGENT,
      ...(this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` }),
      ...(type === undefined ? {} : { "content-type": type }),
      ...more,
    };
    let answer: Dispatcher.ResponseData;
    try {
      answer = await request(new URL(`.${path}`, this.#base), {
        method,
        headers,
        dispatcher: this.#agent,
        headersTimeout: SILENCE_MS + waitMs,
        ...(body === undefined ? {} : { body: body as never }),
        ...(signal === undefined ? {} : { signal }),
      });
    } catch (error) {
      if (signal?.aborted || error instanceof TomboloError) throw error;
      throw unreachable(this.#base, error);
    }
    this.#aheadMs = aheadOf(answer) ?? this.#aheadMs;
    if (answer.statusCode >= 200 && answer.statusCode < 300) return answer;
    throw await this.#refused(answer);
  }

  async json<T extends z.ZodType>(schema: T, request: HubRequest): Promise<z.output<T>> {
    const answer = await this.send(request);
    const value = await answer.body.json().catch((error: unknown) => Promise.reject(unreachable(this.#base, error)));
    // of what took long: the status had gone out
    const late = z.object({ problem: problem.extend({ status: z.number() }) }).safeParse(value);
    if (late.success) throw refusal(late.data.problem, late.data.problem.status, null);
    const parsed = schema.safeParse(value);
    if (parsed.success) return parsed.data;
    throw new TomboloError("the hub's answer is not one that this version knows", {
      code: "EXCHANGE_INVALID",
      kind: "operator",
      hint: "run versions on both sides that know each other",
    });
  }

  /** The bytes of an answer. Throws `HUB_UNREACHABLE` (connect) when they end too early. */
  async *bytes({ body }: Dispatcher.ResponseData, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    try {
      yield* body as AsyncIterable<Uint8Array>;
    } catch (error) {
      if (signal?.aborted) throw error;
      throw unreachable(this.#base, error);
    }
  }

  /** What the hub's clock shows, by its last answer that told, milliseconds since 1970, to a second or two; null before there was one. */
  get hubNow(): number | null {
    return this.#aheadMs === null ? null : performance.now() + this.#aheadMs;
  }

  /** From the next request on. */
  useToken(token: string): void {
    this.#token = token;
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  async #refused(answer: Dispatcher.ResponseData): Promise<TomboloError> {
    const { statusCode: status, headers } = answer;
    const told = problem.safeParse(await answer.body.json().catch(() => null));
    const after = Number(headers["retry-after"]);
    if (!told.success) {
      // a proxy in between, or a page of a captive portal
      return new HubError(`${this.#base.host} answered ${status} in a way that no hub does`, {
        code: "HUB_UNREACHABLE",
        kind: "connect",
        retryAfterMs: Number.isFinite(after) ? after * 1000 : null,
      });
    }
    return refusal(told.data, status, Number.isFinite(after) ? after * 1000 : null);
  }
}

function aheadOf({ headers }: Dispatcher.ResponseData): number | null {
  const told = Date.parse(String(headers.date));
  return Number.isNaN(told) ? null : told - performance.now();
}

function refusal({ code, detail, hint }: z.output<typeof problem>, status: number, retryAfterMs: number | null): HubError {
  const details = { code, kind: kindOf(status, code), retryAfterMs };
  return new HubError(detail, hint == null ? details : { ...details, hint });
}

/** What a hub answered instead of what was asked for. */
export class HubError extends TomboloError {
  /** How long the hub wants to be left alone, milliseconds. */
  readonly retryAfterMs: number | null;

  constructor(message: string, details: { code: string; kind: ErrorKind; hint?: string; retryAfterMs: number | null }) {
    super(message, details);
    this.retryAfterMs = details.retryAfterMs;
  }
}

/** Damage on the way passes when it is sent again. */
const PASSES = new Set([
  "PACKET_GAP",
  "PACKET_TRUNCATED",
  "PACKET_CORRUPT",
  "PACKET_COUNT",
  "PACKET_DIGEST",
  "EXCHANGE_INVALID",
  "IMAGE_GONE",
  "RESYNC_GONE",
  "RATE_LIMITED",
]);

function kindOf(status: number, code: string): ErrorKind {
  if (status >= 500 || PASSES.has(code)) return "retry";
  return "operator";
}

function baseOf(hub: string): URL {
  const base = URL.canParse(hub) ? new URL(hub) : null;
  if (base === null || !["http:", "https:"].includes(base.protocol)) {
    throw new TomboloError(`${hub} is not the address of a hub`, {
      code: "HUB_ADDRESS",
      kind: "usage",
      hint: "Give it with its scheme: https://hub.example.com:7443.",
    });
  }
  const host = base.hostname.replace(/^\[|\]$/g, "");
  if (base.protocol === "http:" && !isLoopback(host)) {
    throw new TomboloError(`${base.host} would get the token in the clear`, {
      code: "HUB_PLAIN_HTTP",
      kind: "usage",
      hint: "Use the https address of the hub; plain HTTP is for this machine only.",
    });
  }
  // a proxy may serve the hub below a path
  if (!base.pathname.endsWith("/")) base.pathname += "/";
  return base;
}

function certificates(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new TomboloError(`${path} cannot be read`, {
      code: "HUB_TLS",
      kind: "usage",
      hint: "Correct the path of the certificates.",
      cause,
    });
  }
}

const unreachable = ({ host }: URL, cause: unknown): TomboloError =>
  new TomboloError(`the hub ${host} cannot be reached`, {
    code: "HUB_UNREACHABLE",
    kind: "connect",
    hint: "It is tried again by itself; what is written here meanwhile is sent then.",
    cause,
  });
