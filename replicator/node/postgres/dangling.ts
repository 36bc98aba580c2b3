import { TomboloError } from "../../change/error.ts";
import { earlier, START } from "../../change/names.ts";
import type { ApplySession } from "./apply-session.ts";
import { textArray } from "./array-literal.ts";
import { typed } from "./column-sql.ts";
import { type ForeignKey, foreignKeys, knownForeignKeys, refers } from "./foreign-keys.ts";
import { ident } from "./identifier.ts";
import type { IncomingTable, TextRow } from "./incoming.ts";
import { columnNamed } from "./set-statements.ts";

/**
 * Under the replica's role no foreign key is looked at: the parent's rows are right by themselves. They are not where this node lacks what
 * they refer to: it was deleted here and the parent has not taken that, or it is parked. Throws when one of the rows that were written
 * refers to nothing by one of the columns that were written.
 */
export async function mustNotDangle(
  session: ApplySession,
  { table, rule }: IncomingTable,
  written: { readonly columns: readonly string[]; readonly rows: readonly { readonly key: TextRow }[] },
): Promise<void> {
  if (!isLookedAt(session, rule) || written.rows.length === 0) return;
  const { outward } = await foreignKeys(session.client, table);
  const touched = outward.filter((key) => key.columns.some(({ from }) => written.columns.includes(from)));
  if (touched.length === 0 || !(await mayLack(session))) return;
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

// a fill is whole; and what only one side writes, the other has no part in
const isLookedAt = ({ quiet, header }: Pick<ApplySession, "quiet" | "header">, rule: IncomingTable["rule"]): boolean =>
  quiet && header.kind !== "fill" && rule.oneWay !== true;

/** False where it is known, without asking, that no row that is written can dangle. */
export function mayDangle(
  session: Pick<ApplySession, "quiet" | "header">,
  { table, rule }: IncomingTable,
  columns: readonly string[],
): boolean {
  if (!isLookedAt(session, rule) || columns.length === 0) return false;
  return knownForeignKeys(table)?.outward.every((key) => key.columns.every(({ from }) => !columns.includes(from))) !== true;
}

/** Whether one question, `hasUnjudgedDeletions`, tells that none of them dangles. */
export const asksForDeletions = (session: Pick<ApplySession, "context">, { table }: IncomingTable): boolean =>
  session.context.parkedAtSource === false && knownForeignKeys(table) !== undefined;

const answers = new WeakMap<ApplySession, Promise<boolean>>();

/** Whether rows may be missing here that the parent has. */
async function mayLack(session: ApplySession): Promise<boolean> {
  if (session.context.parkedAtSource !== false || session.blocked.size > 0) return true;
  const known = answers.get(session) ?? hasUnjudgedDeletions(session);
  answers.set(session, known);
  return known;
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
