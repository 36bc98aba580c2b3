const SCHEME = "embedded:";

interface Server {
  readonly url: string;
  stop(): Promise<void>;
}

export type StartEmbedded = (options: { directory: string; port?: number }) => Promise<Server>;

/** The Postgres servers that this process keeps for `url: embedded:/directory`. */
export class EmbeddedServers {
  readonly #start: StartEmbedded;
  readonly #servers: Server[] = [];
  /** So that a server which was killed comes back where its clients look for it. */
  readonly #ports = new Map<string, number>();

  constructor(start: StartEmbedded) {
    this.#start = start;
  }

  /** A URL to connect to: itself, or that of the embedded server, which is started unless it runs. */
  async urlOf(url: string): Promise<string> {
    if (!url.startsWith(SCHEME)) return url;
    const directory = url.slice(SCHEME.length);
    const port = this.#ports.get(directory);
    const server = await this.#start(port === undefined ? { directory } : { directory, port });
    this.#servers.push(server);
    this.#ports.set(directory, Number(new URL(server.url).port));
    return server.url;
  }

  /** Stops those that this process started. */
  async stopAll(): Promise<void> {
    await Promise.allSettled(this.#servers.map((server) => server.stop()));
  }
}
