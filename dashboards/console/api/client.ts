import { endSession, token } from "./session.ts";

/** What the hub answers when it refuses: a problem of RFC 9457; docs/errors.md explains the codes. */
export interface Problem {
  readonly status: number;
  readonly code: string;
  readonly title?: string;
  readonly detail: string;
  readonly hint: string | null;
  readonly request_id?: string;
  readonly errors?: readonly { readonly path: string; readonly message: string }[];
  /** Beside the problem's own members, such as the conflict as it is now with a 412. */
  readonly [member: string]: unknown;
}

/** A request that was refused, or not answered at all (`status` 0, code `HUB_UNREACHABLE`). */
export class ApiError extends Error {
  readonly problem: Problem;
  /** Of what the answer tells, as with a 412. */
  readonly etag: string | null;

  constructor(problem: Problem, etag: string | null = null) {
    super(problem.detail);
    this.problem = problem;
    this.etag = etag;
  }

  get status(): number {
    return this.problem.status;
  }

  get code(): string {
    return this.problem.code;
  }
}

type Query = Readonly<Record<string, string | number | boolean | null | undefined>>;

export interface RequestOptions {
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Members that are null, undefined or empty are left out. */
  readonly query?: Query;
  readonly ifMatch?: string;
  readonly signal?: AbortSignal;
  /** In place of the session's: for a token that is yet to be tried. */
  readonly token?: string;
}

export interface Answer<T> {
  readonly data: T;
  readonly etag: string | null;
}

/** Throws `ApiError`, and what `signal` aborts with. A token that the hub does not know any more ends the session. */
export async function request<T>(method: string, path: string, options: RequestOptions = {}): Promise<Answer<T>> {
  const response = await send(method, path, options);
  const text = await response.text();
  const isJson = /json/.test(response.headers.get("content-type") ?? "");
  return { data: (isJson ? JSON.parse(text) : text) as T, etag: response.headers.get("etag") };
}

export const get = async <T>(path: string, options?: Omit<RequestOptions, "body">): Promise<T> =>
  (await request<T>("GET", path, options)).data;
export const post = async <T>(path: string, options?: RequestOptions): Promise<T> => (await request<T>("POST", path, options)).data;
export const del = async <T>(path: string, options?: RequestOptions): Promise<T> => (await request<T>("DELETE", path, options)).data;

/** The answer, once its head has come and says that all is well; its body is yet to be read. */
export async function send(method: string, path: string, options: RequestOptions = {}): Promise<Response> {
  const { body, query, ifMatch, signal } = options;
  const used = options.token ?? token.peek();
  const headers: Record<string, string> = { authorization: `Bearer ${used ?? ""}` };
  if (body !== undefined) headers["content-type"] = "application/json";
  if (ifMatch !== undefined) headers["if-match"] = ifMatch;
  let response: Response;
  try {
    response = await fetch(path + queryText(query), {
      method,
      headers,
      cache: "no-store",
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(signal === undefined ? {} : { signal }),
    });
  } catch (error) {
    if (signal?.aborted === true) throw error;
    const hint =
      method === "GET" ? "It is tried again by itself." : "Look whether it was done, once the hub is back, before you do it again.";
    throw new ApiError({ status: 0, code: "HUB_UNREACHABLE", detail: "The hub does not answer.", hint });
  }
  if (response.ok) return response;
  const error = new ApiError(await problemOf(response), response.headers.get("etag"));
  // another token may have been given meanwhile
  if (response.status === 401 && token.peek() === used && used !== null) {
    endSession(`The hub does not take this token any more: ${error.message}. Sign in again.`);
  }
  throw error;
}

function queryText(query: Query = {}): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") params.set(name, String(value));
  }
  const text = params.toString();
  return text === "" ? "" : `?${text}`;
}

async function problemOf(response: Response): Promise<Problem> {
  try {
    const problem = (await response.json()) as Problem;
    if (typeof problem.code === "string") return problem;
  } catch {
    // a proxy may have answered in the hub's place
  }
  const detail = `The answer was ${response.status} ${response.statusText}`.trim();
  return { status: response.status, code: `HTTP_${response.status}`, detail, hint: null };
}
