import { TomboloError } from "../../change/error.ts";
import { earlier, START } from "../../change/names.ts";
import type { ApplySession } from "./apply-session.ts";
import type { CapturedTable } from "./captured-tables.ts";
import type { ChangeSet } from "./fast-path.ts";
import { type ForeignKey, type ForeignKeys, foreignKeys, knownForeignKeys, refers } from "./foreign-keys.ts";
import { ident, literal } from "./identifier.ts";
import type { IncomingTable, TextRow } from "./incoming.ts";
import { isHeld, lacksReferred } from "./referred-locks.ts";
import { rowsAt } from "./set-statements.ts";

/**
 * Under the replica's role no foreign key is looked at: the parent's rows are right by themselves. They are not where this node lacks what
 * they refer to: it was deleted here and the parent has not taken that, or it is parked. Throws when one of the rows that were written
 * refers to nothing by one of the columns that were written. What is there, and could take them along, is locked (see `isHeld`).
 */
export async function mustNotDangle(
  session: ApplySession,
  { table, rule }: IncomingTable,
  written: { readonly columns: readonly string[]; readonly rows: readonly { readonly key: TextRow }[] },
): Promise<void> {
  if (!isLookedAt(session, rule) || written.rows.length === 0) return;
  const touched = lookedAt(await foreignKeys(session.client, table), written.columns);
  if (touched.length === 0) return;
  const gone = await lacksReferred(session.client, table, { keys: touched.filter(isHeld), rows: written.rows });
  if (!gone && (touched.every(isHeld) || !(await mayLack(session)))) return;
  if (gone && !(await mayLackByNow(session))) return;
  const { text, values } = rowsAt(
    table,
    written.rows.map(({ key }) => key),
    2,
  );
  if (!(await someDangle(session, touched, { text, values }))) return;
  throw new TomboloError(`a row of ${table.name} refers to one that is not here`, { code: "FOREIGN_KEY_VIOLATION", kind: "operator" });
}

/** Whether any row of a full sync would dangle. `rows`: a query that answers these columns of them. */
export async function anyDangles(
  session: ApplySession,
  table: CapturedTable,
  { columns, rows }: { readonly columns: readonly string[]; readonly rows: string },
): Promise<boolean> {
  const rule = session.context.rules.get(table.name);
  if (rule === undefined || !isLookedAt(session, rule)) return false;
  const { outward } = await foreignKeys(session.client, table);
  const keys = outward.filter((key) => key.columns.every(({ from }) => columns.includes(from)));
  return keys.length > 0 && (await mayLack(session)) && someDangle(session, keys, { text: rows, values: [] });
}

/** `rows`: a query whose parameters come after the first two. */
async function someDangle(
  session: ApplySession,
  keys: readonly ForeignKey[],
  rows: { readonly text: string; readonly values: readonly string[] },
): Promise<boolean> {
  const { rowCount } = await session.client.query(
    `${unjudgedDeletions("$1", "$2")} select from (${rows.text}) as f where ${dangles(session, keys)} limit 1`,
    [...unjudgedValues(session), ...rows.values],
  );
  return rowCount !== 0;
}

// what only one side writes, the other has no part in
const isLookedAt = ({ quiet }: Pick<ApplySession, "quiet">, rule: IncomingTable["rule"]): boolean => quiet && rule.oneWay !== true;

/** The keys by which rows of which these columns are written may dangle. */
const lookedAt = ({ outward }: ForeignKeys, columns: readonly string[]): ForeignKey[] =>
  outward.filter((key) => key.columns.some(({ from }) => columns.includes(from)));

/** What of the foreign keys a set of changes may dangle by; undefined where they have yet to be read. */
function lookedAtOf(session: Pick<ApplySession, "quiet">, { table, columns }: ChangeSet): readonly ForeignKey[] | undefined {
  if (!isLookedAt(session, table.rule) || columns.length === 0) return [];
  const known = knownForeignKeys(table.table);
  return known && lookedAt(known, columns);
}

/** Whether `askWhatIsThere` tells, without another question, that no row of the set dangles. */
export function isAskedOnce(session: Pick<ApplySession, "quiet" | "header" | "context">, set: ChangeSet): boolean {
  return lookedAtOf(session, set)?.every((key) => isHeld(key) || isWhole(session)) === true;
}

/** Locks what the sets refer to by keys that act. Everything is asked before this returns: whether rows that they refer to may be missing. */
export function askWhatIsThere(
  session: Pick<ApplySession, "client" | "peer" | "quiet" | "header">,
  sets: readonly ChangeSet[],
): Promise<boolean>[] {
  const asked: Promise<boolean>[] = [];
  let others = false;
  for (const set of sets) {
    const keys = lookedAtOf(session, set) ?? [];
    const held = keys.filter(isHeld);
    if (held.length > 0) asked.push(lacksReferred(session.client, set.table.table, { keys: held, rows: set.changes }));
    others ||= held.length < keys.length;
  }
  // behind the locks: what had to be waited for may have been a deletion
  return others ? [...asked, hasUnjudgedDeletions(session)] : asked;
}

const answers = new WeakMap<ApplySession, Promise<boolean>>();

/** Whether what the parent sends refers to nothing that it has not sent. */
const isWhole = ({ header, context }: Pick<ApplySession, "header" | "context">): boolean =>
  header.kind === "fill" || context.parkedAtSource === false;

/** Whether rows may be missing here that the parent has. */
async function mayLack(session: ApplySession): Promise<boolean> {
  if (!isWhole(session) || session.blocked.size > 0) return true;
  const known = answers.get(session) ?? hasUnjudgedDeletions(session);
  answers.set(session, known);
  return known;
}

/** The same once something is known not to be there: it may have been deleted just now. */
async function mayLackByNow(session: ApplySession): Promise<boolean> {
  await session.gate.complete();
  answers.delete(session);
  return mayLack(session);
}

/** Asked before this returns. */
export async function hasUnjudgedDeletions(session: Pick<ApplySession, "client" | "peer" | "header">): Promise<boolean> {
  const { rows } = await session.client.query<{ any: string }>({
    name: "tombolo_unjudged_deletions",
    text: `${unjudgedDeletions("$1", "$2")} select exists (select from unjudged) as any`,
    values: unjudgedValues(session),
  });
  return rows[0]?.any === "t";
}

/** `with unjudged as (…)`: this node's deletions that the peer ($) has not judged, which has seen its log up to a position ($). */
const unjudgedDeletions = (peer: string, position: string): string => `
  with since as (select coalesce((select snapshot from tombolo.tick where position >= nullif(${position}::bigint, 0) order by position limit 1), '1:1:') as snapshot),
  unjudged as (select c.table_id, c.old from since, tombolo.change c
    where c.op = 'D' and c.target is null and c.origin is distinct from ${peer}::int
      and c.xid >= pg_snapshot_xmin(since.snapshot) and not pg_visible_in_snapshot(c.xid, since.snapshot))`;

function unjudgedValues({ peer, header }: Pick<ApplySession, "peer" | "header">): [number, string] {
  const seen = header.channels.map((channel) => header.seen[channel] ?? START);
  return [peer.id, seen.reduce(earlier, seen[0] ?? START).toString()];
}

/**
 * SQL: row `f` refers to nothing by one of the keys. A fill may bring it before the row that it refers to: there only where that was deleted here. Behind
 * `unjudgedDeletions`.
 */
function dangles({ header, hstore }: Pick<ApplySession, "header" | "hstore">, keys: readonly ForeignKey[]): string {
  const lacks = (key: ForeignKey): string => {
    const some = key.columns.map(({ from }) => `f.${ident(from)} is not null`);
    const are = key.columns.map(({ from, to }) => `u.old operator(${hstore}.->) ${literal(to)} = f.${ident(from)}::text`);
    const ofTable = `u.table_id in (select id from tombolo.captured_table where relation = ${literal(key.to)}::regclass)`;
    const deleted = header.kind === "fill" ? [`exists (select from unjudged as u where ${[ofTable, ...are].join(" and ")})`] : [];
    return `(${[...some, `not exists (select from ${key.to} as t where ${refers(key)})`, ...deleted].join(" and ")})`;
  };
  return keys.map(lacks).join(" or ");
}
