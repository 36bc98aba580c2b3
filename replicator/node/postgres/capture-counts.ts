import type pg from "pg";
import type { CapturedCounts } from "../installation.ts";

/** What became visible after the snapshot $1, and the snapshot that shows it. */
const COUNT = `
  select pg_current_snapshot()::text as snapshot,
         (select json_object_agg(op, changes)
            from (select c.op, count(*) as changes from tombolo.change c
                   where (c.xid >= pg_snapshot_xmax($1::pg_snapshot) or c.xid = any (array(select pg_snapshot_xip($1::pg_snapshot))))
                     and c.origin is null and c.target is null
                   group by c.op) as counted)::text as changes`;

/** A snapshot that shows nothing. */
const EVERYTHING = "1:1:";

const OPS = { I: "insert", U: "update", D: "delete", T: "truncate" } as const;

/**
 * What was captured here, from what no neighbour had acknowledged at the first look on. Every entry of the log is looked at once:
 * counting must come before a purge takes it away, and costs the writers nothing.
 */
export class CaptureCounts {
  readonly #pool: pg.Pool;
  readonly #counts = { insert: 0, update: 0, delete: 0, truncate: 0 };
  #snapshot: string | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(pool: pg.Pool) {
    this.#pool = pool;
  }

  /** Counts what is new. One at a time: two would count the same. */
  count(): Promise<CapturedCounts> {
    const counted = this.#turn.then(() => this.#count());
    this.#turn = counted.catch(() => undefined);
    return counted;
  }

  async #count(): Promise<CapturedCounts> {
    const from = this.#snapshot ?? (await this.#acknowledgedByOne());
    const { rows } = await this.#pool.query<{ snapshot: string; changes: string | null }>(COUNT, [from]);
    this.#snapshot = rows[0]?.snapshot ?? from;
    const changes = JSON.parse(rows[0]?.changes ?? "{}") as { [op: string]: number };
    for (const [op, name] of Object.entries(OPS)) this.#counts[name] += changes[op] ?? 0;
    return { ...this.#counts };
  }

  async #acknowledgedByOne(): Promise<string> {
    const { rows } = await this.#pool.query<{ snapshot: string }>(
      `select t.snapshot::text as snapshot from tombolo.tick t
        where t.position = (select max(sent.position::bigint) from tombolo.peer p, jsonb_each_text(p.sent) as sent (channel, position))`,
    );
    return rows[0]?.snapshot ?? EVERYTHING;
  }
}
