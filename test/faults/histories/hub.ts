const PATIENCE_MS = 15_000;

/** The hub's HTTP interface, as its operator uses it. */
export class Hub {
  readonly #url: string;
  readonly #token: string;

  constructor(url: string, token: string) {
    this.#url = url;
    this.#token = token;
  }

  async answers(): Promise<boolean> {
    return (await fetch(`${this.#url}/v1/ping`)).ok;
  }

  async enrolmentCode(node: string, group: string, params: { readonly [name: string]: string }): Promise<string> {
    const wanted = { role: "node", node, group, params, lifetime_seconds: 20 * 86_400 };
    const { secret } = (await this.#post("/v1/tokens", wanted)) as { secret: string };
    return secret;
  }

  /** Asks an edge to begin anew with the hub, once it comes. */
  async resync(edge: string): Promise<void> {
    await this.#post("/v1/full-sync", { link: `hub/${edge}`, begin_anew: true, replace_rows: true, wait: false });
  }

  /** Tries a parked change of a node that the hub's process reaches. */
  async retryParked(node: string, id: string): Promise<void> {
    await this.#post(`/v1/parked/${node}/${id}/retry`, {});
  }

  /** Gives a parked change up. */
  async discardParked(node: string, id: string): Promise<void> {
    await this.#ask("DELETE", `/v1/parked/${node}/${id}`);
  }

  #post(path: string, body: object): Promise<unknown> {
    return this.#ask("POST", path, body);
  }

  async #ask(method: string, path: string, body?: object): Promise<unknown> {
    const response = await fetch(`${this.#url}${path}`, {
      method,
      signal: AbortSignal.timeout(PATIENCE_MS),
      headers: { authorization: `Bearer ${this.#token}`, ...(body !== undefined && { "content-type": "application/json" }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path} was answered with ${response.status}: ${text}`);
    return response.headers.get("content-type")?.startsWith("application/json") ? JSON.parse(text) : text;
  }
}
