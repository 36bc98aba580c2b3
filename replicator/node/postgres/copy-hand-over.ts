import type pg from "pg";
import Cursor from "pg-cursor";
import type { Change, Op } from "../../change/change.ts";
import type { Position } from "../../change/names.ts";
import type { Part, Receipt } from "../../change/packet.ts";
import { packet } from "../../change/packet-seal.ts";
import { type HandOver, handOverHeader } from "../full-copy.ts";
import { movedOn, runLost } from "../full-sync-runs.ts";
import { Grouping } from "../grouping.ts";
import type { StoredProgress } from "../progress.ts";
import type { ApplySession } from "./apply-session.ts";
import { textArray } from "./array-literal.ts";
import { type CapturedTable, inReferenceOrder } from "./captured-tables.ts";
import { type Pieces, piecesFor } from "./copy-compare.ts";
import { recordReplaced } from "./copy-history.ts";
import type { StageAccess, StagedTable } from "./copy-table.ts";
import { anyDangles } from "./dangling.ts";
import { ident, literal } from "./identifier.ts";
import { lockWhole } from "./referred-locks.ts";
import { isRowError } from "./row-error.ts";

const SETTINGS = ["enable_seqscan = on", "work_mem = '64MB'", "idle_in_transaction_session_timeout = 0"];
const INSERT_TRIGGER = "tombolo_capture_insert";
const FETCH = 1000;
const LIMITS = { maxRows: 5000, maxBytes: 4 << 20 };

export interface StagedHandOver {
  readonly run: bigint;
  readonly tables: readonly StagedTable[];
  readonly position: Position | null;
  readonly handOver: HandOver;
}

/**
 * Makes the tables what is staged. Rows that are missing go in by one statement per table; what differs, what goes, and what this node has changed itself
 * goes as changes, the way that a packet's do. The tables' own writers wait meanwhile; their readers do not.
 */
export async function handOverStaged(access: StageAccess, staged: StagedHandOver): Promise<Receipt> {
  const ordered = inReferenceOrder(staged.tables.map((one) => ({ ...one.table, one }))).map(({ one }) => one);
  const { context } = staged.handOver;
  const header = handOverHeader(
    staged.handOver,
    ordered.map(({ table }) => table.shape),
  );
  const singly = new Set<StagedTable>();
  const parts = changes(access, { ...staged, tables: ordered }, singly);
  return access.target.apply(packet({ header, parts }), context, {
    settings: SETTINGS,
    work: async (session, received) => {
      await mustBeOurs(session, staged.run, access.holder);
      await mustFollow(session, staged.handOver, received);
      await lockWhole(
        session.client,
        ordered.map(({ table }) => table),
      );
      // what a slot has yet to log is among what was committed until now
      await access.gate.complete();
      for (const one of ordered) {
        const pieces = await piecesFor(session.client, one, { hstore: access.hstore, handOver: staged.handOver });
        if (!pieces.empty) await recordReplaced(session, one, pieces);
        if (!(await insertMissing(session, one, pieces))) singly.add(one);
      }
    },
  });
}

/** Says that the run lives, too. Throws `FULL_SYNC_LOST`. */
export async function mustBeOurs({ client }: ApplySession, run: bigint, holder: string): Promise<void> {
  const { rowCount } = await client.query(
    "update tombolo.full_sync_run set heartbeat_at = clock_timestamp() where id = $1 and holder = $2 and state = 'running'",
    [String(run), holder],
  );
  if (rowCount === 0) throw runLost();
}

/** Throws `FULL_SYNC_MOVED`. A link that waited for the full sync goes on. */
export async function mustFollow({ client, peer }: ApplySession, { header }: HandOver, received: StoredProgress): Promise<void> {
  if (header.channels.some((channel) => BigInt(received[channel]?.position ?? 0) > header.upTo)) throw movedOn();
  await client.query("update tombolo.peer set state = 'live', reason = null where id = $1 and state in ('snapshot', 'must_resync')", [
    peer.id,
  ]);
}

/** False when the database refuses something, or a row refers to one that was deleted here: then the rows are to be looked at one by one. */
async function insertMissing(session: ApplySession, { table, columns }: StagedTable, pieces: Pieces): Promise<boolean> {
  const names = columns.map(({ name }) => ident(name)).join(", ");
  const missing = pieces.empty ? "true" : `not exists (select from ${table.sql} as t where ${pieces.keysMatch})`;
  const undo = async (): Promise<false> => {
    await session.client.query("rollback to savepoint missing; release savepoint missing");
    return false;
  };
  await session.client.query("savepoint missing");
  try {
    const log = await silenced(session, table);
    const { rowCount } = await session.client.query(
      `${pieces.own} insert into ${table.sql} (${names}) overriding system value select ${names} from ${pieces.staged} where ${missing} and not ${pieces.isOwn("s")}`,
    );
    // the server takes no trigger off or on while a deferred foreign key has yet to be looked at
    await session.client.query(`set constraints all immediate; ${log}`);
    if (await anyDangles(session, table, { columns: columns.map(({ name }) => name), rows: `select s.* from ${pieces.staged}` }))
      return await undo();
    await session.client.query("release savepoint missing");
    session.outcome.count("I", rowCount ?? 0);
    session.outcome.inserted.add(table);
    return true;
  } catch (error) {
    if (!isRowError(error)) throw error;
    return undo();
  }
}

/**
 * Where nobody reads what is applied, the capture of inserts is switched off for the one statement: it would be called for nothing, for every row of a partitioned
 * table. (The server collects new rows for it all the same, 0.13 us a row; dropping it would need a lock that readers wait for.) The lock on the table is the one that
 * this needs, and nobody else ever sees it so. Answers what switches it on again.
 */
export async function silenced({ client, peer }: ApplySession, table: CapturedTable): Promise<string> {
  if (peer.forwards) return "select";
  const { rows } = await client.query<{ there: string }>(
    `select exists (select from pg_trigger t join pg_class c on c.oid = t.tgrelid
        where t.tgrelid = $1::regclass and t.tgname = $2 and t.tgenabled = 'A' and pg_has_role(c.relowner, 'usage')) as there`,
    [table.sql, INSERT_TRIGGER],
  );
  if (rows[0]?.there !== "t") return "select";
  await client.query(`alter table ${table.sql} disable trigger ${INSERT_TRIGGER}`);
  return `alter table ${table.sql} enable always trigger ${INSERT_TRIGGER}`;
}

/** What is left to do after that, read as it was before, through a connection of its own. */
async function* changes(access: StageAccess, { tables, handOver }: StagedHandOver, singly: ReadonlySet<StagedTable>): AsyncGenerator<Part> {
  const client = await access.pool.connect();
  let done = false;
  try {
    await client.query(`begin isolation level repeatable read; ${SETTINGS.map((setting) => `set local ${setting}`).join("; ")}`);
    const read = async function* (index: number, which: (staged: StagedTable, pieces: Pieces) => string[]): AsyncGenerator<Part> {
      const staged = tables[index] as StagedTable;
      const pieces = await piecesFor(client, staged, { hstore: access.hstore, handOver });
      for (const text of which(staged, pieces)) yield* rowsAs(client, index, text, textArray(staged.table.key));
    };
    const sql = statements(access.hstore);
    for (const index of tables.keys()) {
      yield* read(index, (staged, pieces) => [
        ...(pieces.empty ? [] : [sql.changed(staged, pieces)]),
        sql.own(staged, pieces),
        ...(singly.has(staged) ? [sql.missing(staged, pieces)] : []),
      ]);
    }
    for (const index of [...tables.keys()].reverse())
      yield* read(index, (staged, pieces) => (pieces.empty || pieces.collected ? [] : [sql.gone(staged, pieces)]));
    await client.query("rollback");
    done = true;
  } finally {
    client.release(!done);
  }
}

/** Each answers operation, key, old and new. $1 are the names of the key. */
function statements(hstore: string): {
  readonly [what in "changed" | "own" | "missing" | "gone"]: (staged: StagedTable, pieces: Pieces) => string;
} {
  const json = (image: string): string => `${hstore}.hstore_to_json(${image})::text`;
  const key = (image: string): string => json(`${hstore}.slice(${image}, $1::text[])`);
  const image = ({ columns }: StagedTable, row: string): string =>
    `(select ${hstore}.hstore(r.*) from (select ${columns.map(({ name }) => `${row}.${ident(name)}`).join(", ")}) as r)`;
  const minus = (a: string, b: string): string => json(`${a} operator(${hstore}.-) ${b}`);
  const insert = (staged: StagedTable, pieces: Pieces, which: string): string =>
    `${pieces.own} select 'I', ${key("n")}, null, ${json("n")} from (select ${image(staged, "s")} as n from ${pieces.staged} where ${which} offset 0) as x`;
  return {
    changed: (staged, pieces) =>
      `${pieces.own} select 'U', ${key("o")}, ${minus("o", "n")}, ${minus("n", "o")}
         from (select ${image(staged, "s")} as n, ${image(staged, "t")} as o from ${pieces.joined} where ${pieces.differs} and not ${pieces.isOwn("t")} offset 0) as x
        where o operator(${hstore}.<>) n`,
    own: (staged, pieces) => insert(staged, pieces, pieces.isOwn("s")),
    missing: (staged, pieces) =>
      insert(staged, pieces, `not exists (select from ${staged.table.sql} as t where ${pieces.keysMatch}) and not ${pieces.isOwn("s")}`),
    gone: (staged, pieces) =>
      `${pieces.own} select 'D', ${key("o")}, ${json("o")}, null
         from (select ${hstore}.slice(${hstore}.hstore(t.*), array[${staged.table.columns.map(({ name }) => literal(name)).join(", ")}]) as o from ${pieces.here}
                where not exists (select from ${staged.relation} as s where ${pieces.keysMatch}) and not ${pieces.isOwn("t")} offset 0) as x`,
  };
}

async function* rowsAs(client: pg.ClientBase, table: number, text: string, keys: string): AsyncGenerator<Part> {
  const cursor = client.query(new Cursor<[Op, string, string | null, string | null]>(text, [keys], { rowMode: "array" }));
  const grouping = new Grouping(LIMITS);
  const changedAt = Date.now() * 1000;
  for (;;) {
    const rows = await cursor.read(FETCH);
    if (rows.length === 0) break;
    for (const [op, key, before, now] of rows) {
      const change: Change = { table, op, key, old: before, new: now, changedAt };
      const group = grouping.add(change, 64 + (before?.length ?? 0) + (now?.length ?? 0));
      if (group !== null) yield group;
    }
  }
  if (grouping.rest().length > 0) yield grouping.rest();
}
