import { TomboloError } from "../change/error.ts";
import { systemTimers } from "../lifecycle/timers.ts";
import type { Logger } from "../observability/log.ts";
import type { Topology } from "../topology/topology.ts";

/** Something that listens. */
export interface Listening {
  /** Takes over what may have changed beside the topology, such as a renewed certificate. */
  refresh?(): Promise<void>;
  close(): Promise<void>;
}

export interface EndpointOptions<Address> {
  /** For the log, when it is left to another process: "metrics". */
  readonly what: string;
  /** Null where the topology wants none. */
  readonly wanted: (topology: Topology) => Address | null;
  /** Throws `HTTP_LISTEN` (usage) when the address is taken. */
  readonly start: (address: Address) => Promise<Listening>;
  readonly log: Logger;
}

/** A process that has just given up the lease still closes its server: so long its successor waits for the address. */
const PATIENCE_MS = 5_000;
const RETRY_MS = 100;

/** An HTTP server of the process: not there while another replicator has the address, moved by a reload. */
export class Endpoint<Address extends { readonly host: string; readonly port: number }> {
  readonly #options: EndpointOptions<Address>;
  #address: Address | null = null;
  #server: Listening | null = null;

  constructor(options: EndpointOptions<Address>) {
    this.#options = options;
  }

  /** Serves where the topology wants it. Throws `HTTP_LISTEN` (usage) when the address is taken; then what was served before still is. */
  async listen(topology: Topology): Promise<void> {
    const address = this.#options.wanted(topology);
    const before = this.#address;
    if (JSON.stringify(address) === JSON.stringify(before)) return this.#server?.refresh?.();
    const old = this.#server;
    // nothing can listen where it still does itself
    if (address?.host === before?.host && address?.port === before?.port) await this.close();
    this.#server = address === null ? null : await this.#options.start(address);
    this.#address = address;
    if (old !== this.#server) await old?.close();
  }

  /** The same, where the address may be that of the replicator that this one waits for: then it is left to it. */
  async listenIfFree(topology: Topology): Promise<void> {
    try {
      await this.listen(topology);
    } catch (error) {
      if (!isTaken(error)) throw error;
      this.#options.log.warn({ err: error }, `this process serves no ${this.#options.what} while it waits`);
    }
  }

  /** The same, for a process that has just become the one that replicates. */
  async listenSoon(topology: Topology, signal: AbortSignal): Promise<void> {
    for (const deadline = systemTimers.now() + PATIENCE_MS; ; ) {
      try {
        return await this.listen(topology);
      } catch (error) {
        if (!isTaken(error) || signal.aborted || systemTimers.now() > deadline) throw error;
        await systemTimers.sleep(RETRY_MS, signal);
      }
    }
  }

  async close(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    this.#address = null;
    await server?.close();
  }
}

function isTaken(error: unknown): boolean {
  return error instanceof TomboloError && error.code === "HTTP_LISTEN" && (error.cause as NodeJS.ErrnoException).code === "EADDRINUSE";
}
