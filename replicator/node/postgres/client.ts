import type { Duplex } from "node:stream";
import pg from "pg";

type Listener = (...args: unknown[]) => void;
interface Wire {
  attachListeners(stream: Duplex): void;
}

/**
 * The driver's client, whose connection ends where it is sent a value that no string of this runtime can hold (512 MB): the driver throws that from within an event
 * of the socket, which would end the process.
 */
export class Client extends pg.Client {
  constructor(config?: string | pg.ClientConfig) {
    super(config);
    const wire = (this as unknown as { readonly connection: Wire }).connection;
    const attach = wire.attachListeners.bind(wire);
    wire.attachListeners = (stream) => {
      attach(stream);
      for (const listener of stream.listeners("data") as Listener[]) stream.off("data", listener).on("data", breaking(stream, listener));
    };
  }
}

const breaking =
  (stream: Duplex, listener: Listener): Listener =>
  (bytes) => {
    try {
      listener(bytes);
    } catch (error) {
      if (!isTooLong(error)) throw error;
      stream.destroy(error);
    }
  };

export const isTooLong = (error: unknown): error is Error =>
  error instanceof Error && "code" in error && error.code === "ERR_STRING_TOO_LONG";
