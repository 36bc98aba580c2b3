import pg from "pg";
import type { ApplySession } from "./apply-session.ts";
import type { CapturedTable } from "./captured-tables.ts";
import type { ColumnSequence } from "./column-sequences.ts";
import { ident } from "./identifier.ts";
import { UNDEFINED_COLUMN, UNDEFINED_TABLE } from "./sqlstate.ts";

/** What the database says of a table, a column or a sequence that was dropped since it was captured. */
const GONE = new Set<unknown>([UNDEFINED_TABLE, UNDEFINED_COLUMN]);

/**
 * Moves sequences past what was inserted, so that the next row inserted here, by an application or after a failover, gets a free number.
 * The next number keeps the remainder that it would have had, so that nodes whose numbers lie apart stay apart; where a sequence of ours has
 * lost it, it gets it back. Sequences only ever move forward, and not with the transaction: harmless. One that has no number left says
 * so to the next who asks for one; one that is there no more hands out none.
 */
export async function advanceSequences({ client }: Pick<ApplySession, "client">, tables: Iterable<CapturedTable>): Promise<void> {
  const statements = [...tables].flatMap((table) => table.sequences.map((sequence) => advance(table, sequence)));
  if (statements.length === 0 || (await inSavepoint(client, statements)) || statements.length === 1) return;
  for (const statement of statements) await inSavepoint(client, [statement]);
}

function advance(table: CapturedTable, { column, sequence, ids }: ColumnSequence): string {
  const name = pg.escapeLiteral(sequence);
  const number = (text: string | undefined): string => (text === undefined ? "null" : pg.escapeLiteral(text));
  return `
    with sequence as (
      select (case when is_called then last_value::numeric + q.seqincrement else last_value end) as upcoming, q.seqmax as most,
             coalesce(${number(ids?.stride)}::numeric, q.seqincrement) as stride, ${number(ids?.slot)}::numeric as slot
        from ${sequence}, pg_sequence q where q.seqrelid = ${name}::regclass),
    free as (
      select s.*, greatest(floor(applied.highest) + 1, s.upcoming) as least
        from sequence s, (select max(${ident(column)})::numeric as highest from ${table.sql}) as applied),
    goal as (
      select upcoming, most, least + mod(mod(coalesce(slot, upcoming) - least, stride) + stride, stride) as next from free)
    select setval(${name}::regclass, least(next, most)::bigint, next > most) from goal where next <> upcoming`;
}

/** In one message; false, with nothing spoilt, when something that they name is gone. */
async function inSavepoint(client: pg.ClientBase, statements: readonly string[]): Promise<boolean> {
  try {
    await client.query(["savepoint sequences", ...statements, "release savepoint sequences"].join(";"));
    return true;
  } catch (error) {
    if (!GONE.has((error as { code?: unknown }).code)) throw error;
    await client.query("rollback to savepoint sequences; release savepoint sequences");
    return false;
  }
}
