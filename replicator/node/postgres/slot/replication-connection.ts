import type { Socket } from "node:net";
import pg from "pg";
import { sessionConfig } from "../connection.ts";
import { ident } from "../identifier.ts";
import { postgresError } from "../postgres-error.ts";
import { type Lsn, lsnText } from "./lsn.ts";
import { FrameReader, serverError } from "./replication-frames.ts";
import { parseReplication, type ReplicationMessage, statusUpdate } from "./replication-protocol.ts";

export interface ReplicationOptions {
  readonly url: string;
  /** `application_name`: how another process knows whose walsender it is. */
  readonly name: string;
}

export interface StreamOptions {
  readonly slot: string;
  readonly publication: string;
  /** Transactions that end at or before it do not come. */
  readonly from: Lsn;
  /** Called for every message, in order, before the next one is read. What it throws ends the connection. */
  readonly onMessage: (message: ReplicationMessage) => void;
  /** Called once, when the stream is over, unless `close` was called before. */
  readonly onEnd: (error: unknown) => void;
}

/** What the driver has inside: the wire protocol with COPY BOTH, and its socket. */
interface Wire {
  readonly stream: Socket;
  query(text: string): void;
  sendCopyFromChunk(chunk: Buffer): void;
}

const code = (letter: string): number => letter.charCodeAt(0);
const COPY_DATA = code("d");
const COPY_BOTH = code("W");
const ERROR = code("E");
/** Copy done, command complete, ready: nothing more comes. */
const OVER = new Set([code("c"), code("C"), code("Z")]);

/** One connection in replication mode. Values come as the same texts as in every other session of ours: the settings are the same. */
export class ReplicationConnection {
  readonly #client: pg.Client;
  readonly #wire: Wire;
  #ended = false;

  private constructor(client: pg.Client) {
    this.#client = client;
    this.#wire = (client as unknown as { connection: Wire }).connection;
  }

  static async open(options: ReplicationOptions): Promise<ReplicationConnection> {
    const config = { ...sessionConfig(options), replication: "database" };
    const client = new pg.Client(config as pg.ClientConfig);
    client.on("error", () => undefined);
    try {
      await client.connect();
    } catch (error) {
      await client.end().catch(() => undefined);
      throw postgresError(error);
    }
    return new ReplicationConnection(client);
  }

  /** One replication command with an answer, before the stream starts; values are texts. */
  async command(text: string): Promise<{ [column: string]: string | null }[]> {
    try {
      const { rows } = await this.#client.query<{ [column: string]: string | null }>(text);
      return rows;
    } catch (error) {
      throw postgresError(error);
    }
  }

  /** Resolves when the server has begun to send. Throws what it refuses to begin for. From here on the socket is ours, not the driver's. */
  async start(options: StreamOptions): Promise<void> {
    const { stream } = this.#wire;
    let resolve: () => void = () => undefined;
    let reject: (error: unknown) => void = () => undefined;
    const beginning = new Promise<void>((...settle) => {
      [resolve, reject] = settle;
    });
    let begun = false;
    const end = (error: unknown): void => {
      if (this.#ended) return;
      this.#ended = true;
      if (begun) {
        stream.destroy();
        options.onEnd(postgresError(error));
      } else reject(postgresError(error));
    };
    const frames = new FrameReader((kind, body) => {
      if (this.#ended) return;
      if (kind === COPY_DATA) options.onMessage(parseReplication(body));
      else if (kind === ERROR) end(serverError(body));
      else if (OVER.has(kind)) end(lost());
      else if (kind === COPY_BOTH) {
        begun = true;
        resolve();
      }
    });
    stream.removeAllListeners("data");
    stream.on("data", (chunk: Buffer) => {
      try {
        if (!this.#ended) frames.push(chunk);
      } catch (error) {
        end(error);
      }
    });
    this.#client.on("end", () => end(lost()));
    const settings = `proto_version '1', publication_names '${ident(options.publication).replaceAll("'", "''")}'`;
    this.#wire.query(`START_REPLICATION SLOT ${ident(options.slot)} LOGICAL ${lsnText(options.from)} (${settings})`);
    await beginning;
  }

  status(status: { readonly received: Lsn; readonly flushed: Lsn }): void {
    if (!this.#ended) this.#wire.sendCopyFromChunk(statusUpdate({ ...status, nowMs: Date.now() }));
  }

  /** Nothing more is read from the socket until `resume`: the server then waits. */
  pause(): void {
    this.#wire.stream.pause();
  }

  resume(): void {
    this.#wire.stream.resume();
  }

  async close(): Promise<void> {
    this.#ended = true;
    this.#wire.stream.resume();
    // a walsender in COPY BOTH does not read a goodbye: the closed socket is what it sees
    this.#wire.stream.destroy();
    await this.#client.end().catch(() => undefined);
  }
}

const lost = (): Error => new Error("the replication connection was closed");
