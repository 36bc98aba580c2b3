import type pg from "pg";
import { TomboloError } from "../../change/error.ts";
import type { NodeName, TableName } from "../../change/names.ts";
import type { TableShape } from "../../change/shape.ts";
import { asOfToday } from "../../change/shape-today.ts";
import { writtenRow } from "../references.ts";
import type { RetryOptions, TableRule } from "../target.ts";
import { applyAll } from "./apply-part.ts";
import { type ApplySession, blockedBy } from "./apply-session.ts";
import type { Refused } from "./attempt.ts";
import type { CapturedTable } from "./captured-tables.ts";
import { oneByOne } from "./care.ts";
import { withoutDependants } from "./dependants.ts";
import { type IncomingChange, IncomingTable } from "./incoming.ts";
import { tellHowItIs } from "./late.ts";
import { type ParkedChange, parkedChanges, unpark } from "./parked.ts";
import { describe } from "./refusal.ts";

/** Rows tried in one transaction: keeps locks short when much is parked. Those come first that were not tried for longest, so that none starves. */
export const RETRY_LIMIT = 500;

/** What was tried in vain is tried again after 1 s, 2 s, 4 s, 8 s, 10 s: what nothing frees costs next to nothing. */
const LONGEST_PAUSE_S = 10;

const DUE = `(c.tried_at <= clock_timestamp() - least(power(2, least(c.attempts, 10) - 1), ${LONGEST_PAUSE_S}) * interval '1 second')`;

/** Which changes of `c` are to be tried; `only` is the parameter $2. */
const chosen = ({ only, all }: RetryOptions): string =>
  `c.op <> 'T' and ${only !== undefined ? "c.id = any ($2::bigint[])" : `$2::bigint[] is null and ${all === true ? "true" : DUE}`}`;

export async function countDue(pool: pg.Pool, peer: NodeName, options: RetryOptions): Promise<number> {
  const { rows } = await pool.query<{ due: string }>(
    `select count(*) as due from tombolo.parked_change c join tombolo.peer p on p.id = c.peer_id where p.name = $1 and ${chosen(options)}`,
    [peer, options.only?.map(String) ?? null],
  );
  const due = Number(rows[0]?.due ?? 0);
  // what else is due can wait for its turn
  return options.all === true || options.only !== undefined ? due : Math.min(due, RETRY_LIMIT);
}

/** Tries parked changes again, those together that wait for one another. Answers how many went through. */
export async function retryParkedChanges(
  session: ApplySession,
  tables: ReadonlyMap<TableName, CapturedTable>,
  options: RetryOptions,
): Promise<number> {
  const where = `(c.table_name, c.key::text) in (select c.table_name, c.key::text from tombolo.parked_change c
    where c.peer_id = $1 and ${chosen(options)} order by c.tried_at, c.id limit ${RETRY_LIMIT})`;
  const parked = await parkedChanges(session.client, session.peer.id, where, [options.only?.map(String) ?? null]);
  return retry(session, await readable(session, tables, parked, options.now ?? []), (changes) => oneByOne(session, changes));
}

/** The same for what this packet has parked and the rest of it may have made possible: all of it, as it is one transaction. */
export async function retryParkedOfPacket(session: ApplySession, tables: ReadonlyMap<TableName, CapturedTable>): Promise<number> {
  const where = "c.packet_no = $2 and c.code in ('UNIQUE_VIOLATION', 'EXCLUSION_VIOLATION', 'FOREIGN_KEY_VIOLATION', 'TRIGGER_REFUSED')";
  const parked = await parkedChanges(session.client, session.peer.id, where, [session.header.number.toString()]);
  return retry(
    session,
    await readable(session, tables, parked, []),
    (changes) => applyAll(session, changes),
    ({ attempts }) => attempts === 1,
  );
}

/** The parked changes as they are to be tried now. */
async function readable(
  session: ApplySession,
  tables: ReadonlyMap<TableName, CapturedTable>,
  parked: readonly ParkedChange[],
  now: readonly TableShape[],
): Promise<Map<IncomingChange, ParkedChange>> {
  const incomingTables = new IncomingTables();
  const changes = new Map<IncomingChange, ParkedChange>();
  for (const one of parked) {
    const table = tables.get(one.table);
    const rule = session.context.rules.get(one.table);
    // a table that is not received any more; its changes wait for a person
    if (table === undefined || rule === undefined) continue;
    const here = table.columns.map(({ name }) => name);
    const { change, shape } = asOfToday(one, now, here);
    try {
      const incoming = incomingTables.of(table, shape, rule).incoming(change);
      session.late.set(incoming, one.seen);
      changes.set(incoming, one);
    } catch (error) {
      if (!(error instanceof TomboloError)) throw error;
      await parkedAgain(session, one, table, error);
    }
  }
  return changes;
}

/** `fromNow`: what was parked by this very packet; its sender has been told nothing since. */
async function retry(
  session: ApplySession,
  changes: ReadonlyMap<IncomingChange, ParkedChange>,
  apply: (changes: readonly IncomingChange[]) => Promise<readonly Refused[]>,
  fromNow: (parked: ParkedChange) => boolean = () => false,
): Promise<number> {
  if (changes.size === 0) return 0;
  await session.client.query("set constraints all immediate");
  // rows that are tried do not wait for each other because they are parked
  const waiting = [...changes].filter(([{ change }]) => change.op === "I");
  for (const [{ change, table }] of waiting)
    session.waiting.remove(table.table.name, writtenRow(change), blockedBy(table.table.name, change.key));
  const refused = new Map((await withoutDependants(session, [...changes.keys()], apply)).map(({ incoming, error }) => [incoming, error]));
  const through = [...changes].filter(([incoming]) => !refused.has(incoming));
  await unpark(
    session,
    through.map(([, one]) => one),
  );
  for (const [incoming, one] of through) if (!fromNow(one)) await tellHowItIs(session, incoming);
  for (const [incoming, error] of refused) {
    const one = changes.get(incoming);
    if (one !== undefined) await parkedAgain(session, one, incoming.table.table, error);
  }
  return through.length;
}

async function parkedAgain(session: ApplySession, parked: ParkedChange, table: CapturedTable, error: unknown): Promise<void> {
  const { code, reason } = await describe(session, error, { op: parked.change.op, table });
  await session.client.query(
    "update tombolo.parked_change set attempts = attempts + 1, tried_at = clock_timestamp(), code = $2, reason = $3 where id = any ($1::bigint[])",
    [parked.ids, code, reason],
  );
}

/** One for the changes of a table that came with one shape, so that they can be applied together. */
class IncomingTables {
  readonly #known = new Map<string, IncomingTable>();

  of(table: CapturedTable, shape: TableShape, rule: TableRule): IncomingTable {
    const id = JSON.stringify(shape);
    const known = this.#known.get(id) ?? new IncomingTable(table, shape, rule);
    this.#known.set(id, known);
    return known;
  }
}
