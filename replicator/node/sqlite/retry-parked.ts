import { TomboloError } from "../../change/error.ts";
import type { TableName } from "../../change/names.ts";
import type { TableShape } from "../../change/shape.ts";
import { asOfToday } from "../../change/shape-today.ts";
import { writtenRow } from "../references.ts";
import type { RetryOptions } from "../target.ts";
import { applyAll } from "./apply-part.ts";
import { type ApplySession, blockedBy } from "./apply-session.ts";
import type { CapturedTable } from "./captured-tables.ts";
import type { Tools } from "./care.ts";
import { isoTime } from "./clock.ts";
import type { Connection } from "./connection.ts";
import type { IncomingChange } from "./incoming.ts";
import { IncomingTables } from "./incoming-table.ts";
import { tellHowItIs } from "./late.ts";
import { type ParkedChange, parkedAgain, parkedChanges, unpark } from "./parked.ts";

/** Rows tried in one transaction: it stays short. Those come first that were not tried for longest, so that none starves. */
export const RETRY_LIMIT = 1000;

/** What was tried in vain is tried again after 1 s, 2 s, 4 s, 8 s, 10 s: what nothing frees costs next to nothing. */
const LONGEST_PAUSE_S = 10;

const DUE = `c.tried_at <= strftime('%Y-%m-%dT%H:%M:%fZ', :now, '-' || min(1 << (min(c.attempts, 10) - 1), ${LONGEST_PAUSE_S}) || ' seconds')`;

type Tables = ReadonlyMap<TableName, CapturedTable>;

/** Which changes of `c` are to be tried; with the parameters `only` (JSON) and `now`. */
const chosen = ({ only, all }: RetryOptions): string =>
  `c.op <> 'T' and ${only !== undefined ? "c.id in (select value from json_each(:only))" : all === true ? "true" : DUE}`;

const parameters = ({ only, all }: RetryOptions, now: number): { readonly [name: string]: string } =>
  only !== undefined ? { only: `[${only.join(",")}]` } : all === true ? {} : { now: isoTime(now) };

export function countDue(connection: Connection, peerId: number, options: RetryOptions, now: number): number {
  const due = connection
    .prepare(`select count(*) from tombolo_parked_change c where c.peer_id = :peer and ${chosen(options)}`)
    .pluck()
    .get({ peer: peerId, ...parameters(options, now) }) as bigint;
  // what else is due can wait for its turn
  return options.all === true || options.only !== undefined ? Number(due) : Math.min(Number(due), RETRY_LIMIT);
}

/** Tries parked changes again, those together that wait for one another. Answers how many went through. */
export function retryParkedChanges(session: ApplySession, tables: Tables, tools: Tools, options: RetryOptions): number {
  const where = `(c.table_name, c.key) in (select c.table_name, c.key from tombolo_parked_change c
    where c.peer_id = :peer and ${chosen(options)} order by c.tried_at, c.id limit ${RETRY_LIMIT})`;
  const parked = parkedChanges(session.connection, session.peer.id, where, parameters(options, session.clock()));
  return retry(session, tables, tools, { parked, now: options.now ?? [], fromNow: () => false });
}

/** The same for what this packet has parked and the rest of it may have made possible: all of it, as it is one transaction. */
export function retryParkedOfPacket(session: ApplySession, tables: Tables, tools: Tools): number {
  const where = "c.packet_no = :number and c.code in ('UNIQUE_VIOLATION', 'FOREIGN_KEY_VIOLATION', 'TRIGGER_REFUSED')";
  const parked = parkedChanges(session.connection, session.peer.id, where, { number: session.header.number });
  return retry(session, tables, tools, { parked, now: [], fromNow: ({ attempts }) => attempts === 1 });
}

function retry(
  session: ApplySession,
  tables: Tables,
  tools: Tools,
  options: {
    readonly parked: readonly ParkedChange[];
    readonly now: readonly TableShape[];
    /** What was parked by this very packet; its sender has been told nothing since. */
    readonly fromNow: (parked: ParkedChange) => boolean;
  },
): number {
  const incomingTables = new IncomingTables(session.connection);
  const changes = new Map<IncomingChange, ParkedChange>();
  for (const one of options.parked) {
    const table = tables.get(one.table);
    const rule = session.context.rules.get(one.table);
    // a table that is not received any more; its changes wait for a person
    if (table === undefined || rule === undefined) continue;
    const here = table.columns.map(({ name }) => name);
    const { change, shape } = asOfToday(one, options.now, here);
    try {
      const incoming = incomingTables.of(table, shape, rule).incoming(change);
      session.late.set(incoming, one.seen);
      changes.set(incoming, one);
    } catch (error) {
      if (!(error instanceof TomboloError)) throw error;
      parkedAgain(session, one, error, null);
    }
  }
  // rows that are tried do not wait for each other because they are parked
  for (const [{ change, table }] of changes) {
    if (change.op === "I") session.waiting.remove(table.name, writtenRow(change), blockedBy(table.name, change.key));
  }
  const refused = new Map(applyAll(session, [...changes.keys()], tools).map(({ incoming, error }) => [incoming, error]));
  for (const [incoming, one] of changes) {
    if (refused.has(incoming)) parkedAgain(session, one, refused.get(incoming), incoming);
    else {
      unpark(session, one);
      if (!options.fromNow(one)) tellHowItIs(session, incoming);
    }
  }
  return changes.size - refused.size;
}
