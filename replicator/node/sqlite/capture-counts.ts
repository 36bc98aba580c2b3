import type { CapturedCounts } from "../installation.ts";
import { isInstalled } from "./captured-tables.ts";
import type { Connection, DatabaseFile } from "./connection.ts";
import { prepared } from "./rows.ts";
import { newestEntry } from "./tick.ts";

const OPS = { I: "insert", U: "update", D: "delete" } as const;

/**
 * What was captured here, from what no neighbour had acknowledged at the first look on. Every entry of the log is looked at once:
 * counting must come before a purge takes it away, and costs the writers nothing.
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
      this.#upTo ??= acknowledgedByOne(connection);
      if (newest > this.#upTo) {
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

const acknowledgedByOne = (connection: Connection): bigint =>
  connection.prepare("select coalesce(max(cast(j.value as integer)), 0) from tombolo_peer p, json_each(p.sent) j").pluck().get() as bigint;
