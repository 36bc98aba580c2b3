import { TomboloError } from "../../change/error.ts";
import { earlier, START } from "../../change/names.ts";
import type { ApplySession } from "./apply-session.ts";
import { textArray } from "./array-literal.ts";
import { typed } from "./column-sql.ts";
import type { ChangeSet } from "./fast-path.ts";
import { type ForeignKey, type ForeignKeys, foreignKeys, knownForeignKeys, refers } from "./foreign-keys.ts";
import { ident } from "./identifier.ts";
import type { IncomingTable, TextRow } from "./incoming.ts";
import { isHeld, lacksReferred } from "./referred-locks.ts";
import { columnNamed } from "./set-statements.ts";

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
  const touched = lookedAt(session, await foreignKeys(session.client, table), written.columns);
  if (touched.length === 0) return;
  const gone = await lacksReferred(session.client, table, { keys: touched.filter(isHeld), rows: written.rows });
  if (!gone && (touched.every(isHeld) || !(await mayLack(session)))) return;
  if (gone && !(await mayLackByNow(session))) return;
  const columns = table.key.map((name) => columnNamed(table, name));
  const arrays = columns.map((_, index) => `$${index + 1}::text[]`).join(", ");
  const names = columns.map((_, index) => `a${index}`).join(", ");
  const is = columns.map((column, index) => `f.${ident(column.name)} = ${typed(`a${index}`, column)}`).join(" and ");
  const { rows } = await session.client.query({
    text: `select from unnest(${arrays}) as u(${names}) join ${table.sql} as f on ${is} where ${touched.map(lacks).join(" or ")} limit 1`,
    values: table.key.map((name) => textArray(written.rows.map(({ key }) => key[name] ?? null))),
  });
  if (rows.length === 0) return;
  throw new TomboloError(`a row of ${table.name} refers to one that is not here`, { code: "FOREIGN_KEY_VIOLATION", kind: "operator" });
}

// what only one side writes, the other has no part in
const isLookedAt = ({ quiet }: Pick<ApplySession, "quiet">, rule: IncomingTable["rule"]): boolean => quiet && rule.oneWay !== true;

/** The keys by which rows of which these columns are written may dangle. A fill is whole, but for what is deleted here meanwhile. */
const lookedAt = ({ header }: Pick<ApplySession, "header">, { outward }: ForeignKeys, columns: readonly string[]): ForeignKey[] =>
  outward.filter((key) => (header.kind !== "fill" || isHeld(key)) && key.columns.some(({ from }) => columns.includes(from)));

/** What of the foreign keys a set of changes may dangle by; undefined where they have yet to be read. */
function lookedAtOf(session: Pick<ApplySession, "quiet" | "header">, { table, columns }: ChangeSet): readonly ForeignKey[] | undefined {
  if (!isLookedAt(session, table.rule) || columns.length === 0) return [];
  const known = knownForeignKeys(table.table);
  return known && lookedAt(session, known, columns);
}

/** Whether `askWhatIsThere` tells, without another question, that no row of the set dangles. */
export function isAskedOnce(session: Pick<ApplySession, "quiet" | "header" | "context">, set: ChangeSet): boolean {
  return lookedAtOf(session, set)?.every((key) => isHeld(key) || session.context.parkedAtSource === false) === true;
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

/** Whether rows may be missing here that the parent has. */
async function mayLack(session: ApplySession): Promise<boolean> {
  if (session.context.parkedAtSource !== false || session.blocked.size > 0) return true;
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
export async function hasUnjudgedDeletions({ client, peer, header }: Pick<ApplySession, "client" | "peer" | "header">): Promise<boolean> {
  const seen = header.channels.map((channel) => header.seen[channel] ?? START);
  const { rows } = await client.query<{ any: string }>({
    name: "tombolo_unjudged_deletions",
    text: `with since as (select coalesce((select snapshot from tombolo.tick where position >= nullif($2::bigint, 0) order by position limit 1), '1:1:') as snapshot)
      select exists (select from since, tombolo.change c
        where c.op = 'D' and c.target is null and c.origin is distinct from $1::int
          and c.xid >= pg_snapshot_xmin(since.snapshot) and not pg_visible_in_snapshot(c.xid, since.snapshot)) as any`,
    values: [peer.id, seen.reduce(earlier, seen[0] ?? START).toString()],
  });
  return rows[0]?.any === "t";
}

const lacks = (key: ForeignKey): string =>
  `(${key.columns.map(({ from }) => `f.${ident(from)} is not null`).join(" and ")} and not exists (select from ${key.to} as t where ${refers(key)}))`;
