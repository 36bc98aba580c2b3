import type pg from "pg";
import { TomboloError } from "../../../change/error.ts";
import { textArray } from "../array-literal.ts";
import { transaction } from "../connection.ts";
import { CapturedRelations } from "./captured-relations.ts";
import { copyEntries, FEWEST_TO_COPY } from "./copy-entries.ts";
import { type LogEntry, logEntries, type Unloggable } from "./images.ts";
import { type Lsn, lsnText } from "./lsn.ts";
import type { Piece } from "./transactions.ts";

/** What one transaction wrote to the log. */
export interface Written {
  readonly entries: readonly LogEntry[];
  /** Tables whose changes could not be logged, by id: they have been marked as ones that must be compared. */
  readonly holes: ReadonlyMap<number, Unloggable>;
}

/**
 * One statement: the entries, in order, and the cursor. Nothing is written when the cursor is not where this process left it: then
 * another one has taken over. A change keeps the number of the transaction that made it: by that, and not by when it came to be logged, it belongs
 * to a tick. The stream has the lower 32 bits of it.
 */
const statement = (hstore: string): string => `
  with moved as (
    update tombolo.slot set end_lsn = $2::pg_lsn where end_lsn = $1::pg_lsn returning 1),
  logged as (
    insert into tombolo.change (xid, table_id, op, segment, origin, changed_at, key, old, new)
    select (me.id - ((me.id - e.xid) & 4294967295))::text::xid8, e.table_id, e.op::"char", s.segment, e.origin,
           timestamptz 'epoch' + e.at * interval '1 microsecond', e.key::${hstore}.hstore, e.old::${hstore}.hstore, e.new::${hstore}.hstore
      from moved, (select pg_current_xact_id()::text::bigint as id) as me, tombolo.log_state as s,
           unnest($3::bigint[], $4::int[], $5::text[], $6::int[], $7::float8[], $8::text[], $9::text[], $10::text[])
             with ordinality as e(xid, table_id, op, origin, at, key, old, new, ord)
     order by e.ord)
  select from moved`;

/** As `stampOriginalTimes` does where triggers capture. */
const stampStatement = (hstore: string): string => `
  update tombolo.change c set changed_at = e.at::timestamptz
    from (select pg_current_xact_id()::text::bigint as id) as me, unnest($2::int[], $3::text[], $4::text[]) as e(table_id, key, at)
   where c.xid = (me.id - ((me.id - $1::bigint) & 4294967295))::text::xid8 and c.table_id = e.table_id and c.target is null
     and c.key operator(${hstore}.=) e.key::${hstore}.hstore`;

/** Writes streamed transactions to the change log, together with the place up to which the log is complete. */
export class LogWriter {
  readonly #pool: pg.Pool;
  readonly #hstore: string;
  readonly #relations: CapturedRelations;

  constructor(options: { readonly pool: pg.Pool; readonly hstore: string }) {
    this.#pool = options.pool;
    this.#hstore = options.hstore;
    this.#relations = new CapturedRelations(options.pool);
  }

  /** Whole transactions, in one of its own; `cursor.to` is the end of the last of them. Throws `SLOT_TAKEN` (retry). */
  async write(pieces: readonly Piece[], cursor: { readonly from: Lsn; readonly to: Lsn }): Promise<Written> {
    const { rows, holes } = await this.#rows(pieces);
    const stamped = pieces.filter(({ stamps }) => stamps.length > 0);
    if (stamped.length === 0 && holes.size === 0 && rows.length < FEWEST_TO_COPY) await this.#insert(this.#pool, rows, cursor);
    else {
      await transaction(this.#pool, async (client) => {
        await this.#append(client, rows, cursor);
        for (const piece of stamped) await this.#stamp(client, piece);
        await markHoles(client, holes);
      });
    }
    return { entries: rows, holes };
  }

  /** One transaction that is too large to be held, in its pieces. */
  async writeLarge(pieces: AsyncIterable<Piece>, from: Lsn, written: (entries: readonly LogEntry[]) => void): Promise<Lsn> {
    return transaction(this.#pool, async (client) => {
      for await (const piece of pieces) {
        const { rows, holes } = await this.#rows([piece]);
        await this.#append(client, rows, { from, to: piece.end ?? from });
        await this.#stamp(client, piece);
        await markHoles(client, holes);
        written(rows);
        if (piece.end !== null) return piece.end;
      }
      throw new TomboloError("the replication stream ended within a transaction", { code: "SLOT_STREAM_ENDED", kind: "retry" });
    });
  }

  /** Nothing was to be logged up to there. */
  async advance(cursor: { readonly from: Lsn; readonly to: Lsn }): Promise<void> {
    const { rowCount } = await this.#pool.query("update tombolo.slot set end_lsn = $2::pg_lsn where end_lsn = $1::pg_lsn", [
      lsnText(cursor.from),
      lsnText(cursor.to),
    ]);
    if (rowCount !== 1) throw taken();
  }

  /** Tells a mark of another process. */
  async tellMark(mark: bigint): Promise<void> {
    await this.#pool.query("update tombolo.slot set mark = greatest(mark, $1::bigint)", [mark.toString()]);
  }

  async #rows(pieces: readonly Piece[]): Promise<{ rows: LogEntry[]; holes: Map<number, Unloggable> }> {
    const rows: LogEntry[] = [];
    const holes = new Map<number, Unloggable>();
    for (const piece of pieces) {
      await this.#relations.read(piece.recaptures ? piece.xid : null);
      for (const change of piece.changes) {
        const captured = this.#relations.get(change.relation.oid);
        if (captured === undefined) continue;
        const entries = logEntries(change, captured, piece);
        if (typeof entries === "string") holes.set(captured.id, entries);
        else rows.push(...entries);
      }
    }
    return { rows, holes };
  }

  /** In a transaction. */
  async #append(client: pg.ClientBase, rows: readonly LogEntry[], cursor: { readonly from: Lsn; readonly to: Lsn }): Promise<void> {
    if (rows.length < FEWEST_TO_COPY) await this.#insert(client, rows, cursor);
    else if (!(await copyEntries(client, rows, cursor))) throw taken();
  }

  async #insert(
    client: pg.Pool | pg.ClientBase,
    rows: readonly LogEntry[],
    cursor: { readonly from: Lsn; readonly to: Lsn },
  ): Promise<void> {
    const column = (value: (row: LogEntry) => string | null): string => textArray(rows.map(value));
    const { rowCount } = await client.query({
      name: "tombolo_slot_log",
      text: statement(this.#hstore),
      values: [
        lsnText(cursor.from),
        lsnText(cursor.to),
        column(({ xid }) => String(xid)),
        column(({ tableId }) => String(tableId)),
        column(({ op }) => op),
        column(({ origin }) => (origin === null ? null : String(origin))),
        column(({ committedAt }) => String(committedAt)),
        column(({ key }) => key),
        column(({ old }) => old),
        column(({ new: now }) => now),
      ],
    });
    if (rowCount !== 1) throw taken();
  }

  async #stamp(client: pg.ClientBase, { xid, stamps }: Piece): Promise<void> {
    if (stamps.length === 0) return;
    await client.query(stampStatement(this.#hstore), [
      xid,
      textArray(stamps.map(({ tableId }) => tableId)),
      textArray(stamps.map(({ key }) => key)),
      textArray(stamps.map(({ changedAt }) => changedAt)),
    ]);
  }
}

async function markHoles(client: pg.ClientBase, holes: ReadonlyMap<number, Unloggable>): Promise<void> {
  for (const [id, reason] of holes) {
    await client.query("update tombolo.captured_table set state = 'must_compare', reason = $2 where id = $1", [id, reason]);
  }
}

const taken = (): TomboloError =>
  new TomboloError("another process has taken over the replication slot", {
    code: "SLOT_TAKEN",
    kind: "retry",
    hint: "Let only one `tombolo run` or `tombolo sync` work on a node with `capture: slot`.",
  });
