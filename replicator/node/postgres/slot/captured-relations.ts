import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import type { CapturedRelation } from "./images.ts";

/**
 * Parameter: the lower 32 bits of the number of a transaction that has been committed; the answer says whether it is visible. It may not be among
 * those that the snapshot knows of, so the number is looked for up to somewhat above them.
 */
const SELECT = `
  select coalesce(json_object_agg(t.relation::text, json_build_object('id', t.id, 'key', t.key_columns, 'whole', t.whole_images,
           'excluded', t.excluded || array(select a.attname::text from pg_attribute a
                                            where a.attrelid = t.relation and a.attgenerated <> '' and not a.attisdropped))), '{}')::text as tables,
         (select pg_visible_in_snapshot((me.id - ((me.id - $1::bigint) & 4294967295))::text::xid8, pg_current_snapshot())
            from (select pg_snapshot_xmax(pg_current_snapshot())::text::bigint + 1000000 as id) as me) as visible
    from tombolo.captured_table t`;

/** A transaction comes out of the slot a moment before it is visible, or later where its commit waits for a standby. */
const LOOK_AGAIN_MS = 5;

/** tombolo.captured_table by the oid of the table, as it was when the transaction that is being logged was committed, or later. */
export class CapturedRelations {
  readonly #pool: pg.Pool;
  #byOid: ReadonlyMap<number, CapturedRelation> | undefined;

  constructor(pool: pg.Pool) {
    this.#pool = pool;
  }

  /** `changedBy`: the transaction has changed tombolo.captured_table. */
  async read(changedBy: number | null): Promise<void> {
    if (changedBy === null && this.#byOid !== undefined) return;
    for (;;) {
      const { rows } = await this.#pool.query<{ tables: string; visible: string }>(SELECT, [changedBy ?? 0]);
      if (changedBy !== null && rows[0]?.visible !== "t") {
        await sleep(LOOK_AGAIN_MS);
        continue;
      }
      const tables = JSON.parse(rows[0]?.tables ?? "{}") as { [oid: string]: CapturedRelation };
      this.#byOid = new Map(Object.entries(tables).map(([oid, captured]) => [Number(oid), captured]));
      return;
    }
  }

  /** Undefined for a table that is not captured (any more). */
  get(oid: number): CapturedRelation | undefined {
    return this.#byOid?.get(oid);
  }
}
