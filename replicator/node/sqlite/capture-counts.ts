import type { CapturedCounts } from "../installation.ts";
import { isInstalled } from "./captured-tables.ts";
import type { DatabaseFile } from "./connection.ts";
import { prepared } from "./rows.ts";
import { newestEntry } from "./tick.ts";

const OPS = { I: "insert", U: "update", D: "delete" } as const;

/**
 * What was captured here since the first look. Every entry of the log is looked at once: counting must come before a purge takes it
 * away, and costs the writers nothing.
 */
export class CaptureCounts {
  readonly #file: DatabaseFile;
  readonly #counts = { insert: 0, update: 0, delete: 0, truncate: 0 };
  #upTo: bigint | undefined;

  constructor(file: DatabaseFile) {
    this.#file = file;
  }

  /** Counts what is new. */
  count(): CapturedCounts {
    this.#file.read((connection) => {
      if (!isInstalled(connection)) return;
      const newest = newestEntry(connection);
      if (this.#upTo !== undefined && newest > this.#upTo) {
        const rows = prepared(
          connection,
          "select op, count(*) from tombolo_change where seq > ? and seq <= ? and origin is null and target is null and op in ('I', 'U', 'D') group by op",
        )
          .raw()
          .all(this.#upTo, newest) as [keyof typeof OPS, bigint][];
        for (const [op, count] of rows) this.#counts[OPS[op]] += Number(count);
      }
      this.#upTo = newest;
    });
    return { ...this.#counts };
  }
}
