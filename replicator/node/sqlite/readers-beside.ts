import type { Database } from "better-sqlite3";

/** Of all files of this process: it looks at each every few seconds, and while fifty are written to that would be fifty connections. */
const MOST = 4;
/** One that was not used for so long is closed. */
const IDLE_MS = 5_000;

export type InRead = (work: (connection: Database) => unknown) => unknown;

export const inRead = (connection: Database): InRead =>
  connection.transaction((work: (connection: Database) => unknown) => work(connection));

interface Reader {
  readonly connection: Database;
  readonly inRead: InRead;
  usedAt: number;
}

/**
 * Connections for reads of a file while the one that writes to it has a transaction open. A read does not await anything, so that while one begins none of them
 * is in use: any may be closed to make room.
 */
export class ReadersBeside {
  /** The one that was used last is the last. */
  readonly #readers = new Map<object, Reader>();
  #sweep: NodeJS.Timeout | undefined;

  /** Throws what `connect` throws. */
  of(file: object, connect: () => Database): InRead {
    const reader = this.#readers.get(file) ?? this.#open(connect);
    this.#readers.delete(file);
    this.#readers.set(file, reader);
    reader.usedAt = performance.now();
    this.#sweep ??= setTimeout(() => this.#closeIdle(), IDLE_MS).unref();
    return reader.inRead;
  }

  close(file: object): void {
    this.#readers.get(file)?.connection.close();
    this.#readers.delete(file);
  }

  #open(connect: () => Database): Reader {
    for (const [file] of this.#readers) if (this.#readers.size >= MOST) this.close(file);
    const connection = connect();
    return { connection, inRead: inRead(connection), usedAt: 0 };
  }

  #closeIdle(): void {
    const now = performance.now();
    for (const [file, { usedAt }] of this.#readers) if (now - usedAt >= IDLE_MS) this.close(file);
    this.#sweep = this.#readers.size === 0 ? undefined : setTimeout(() => this.#closeIdle(), IDLE_MS).unref();
  }
}
