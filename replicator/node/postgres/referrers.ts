import { TomboloError } from "../../change/error.ts";
import type { TableName } from "../../change/names.ts";
import type { ApplySession } from "./apply-session.ts";
import { textArray } from "./array-literal.ts";
import type { CapturedTable } from "./captured-tables.ts";
import { typed } from "./column-sql.ts";
import { type ForeignKey, type ForeignKeys, foreignKeys, knownForeignKeys, refers } from "./foreign-keys.ts";
import { ident, literal } from "./identifier.ts";
import type { IncomingChange, TextRow } from "./incoming.ts";
import { deleteRow, keyValues, keyWhere } from "./rows.ts";
import { columnNamed } from "./set-statements.ts";

/**
 * The foreign keys to a table that a deletion has to be careful about.
 *
 * In a parent: those that would take rows along, or change them, which the child could have deleted or changed itself. It has not, and so
 * does not know them. In a child: the same, as those rows are its own; under the replica's role all, because the database looks at none.
 */
async function watched(session: ApplySession, table: CapturedTable): Promise<readonly ForeignKey[]> {
  return watchedOf(session, await foreignKeys(session.client, table));
}

function watchedOf({ context, quiet }: Pick<ApplySession, "context" | "quiet">, { inward }: ForeignKeys): readonly ForeignKey[] {
  return quiet ? inward : inward.filter((key) => actsOnShared(context, key));
}

/** Whether it does something to rows that both sides write. */
const actsOnShared = (context: ApplySession["context"], { acts, of }: ForeignKey): boolean =>
  acts && of !== null && context.rules.has(of) && context.rules.get(of)?.oneWay !== true;

/** False where it is known, without asking, that nobody can refer to rows of the table that a deletion has to be careful about. */
export function mayBeReferredTo(session: Pick<ApplySession, "context" | "quiet">, table: CapturedTable): boolean {
  const keys = knownForeignKeys(table);
  return keys === undefined || watchedOf(session, keys).length > 0;
}

/** Of some deletions of one table, those whose rows others refer to. Their rows are locked: nobody can come to refer to them any more. */
export async function withReferrers(session: ApplySession, deletions: readonly IncomingChange[]): Promise<Set<IncomingChange>> {
  const table = deletions[0]?.table.table;
  const keys = table === undefined ? [] : await watched(session, table);
  if (table === undefined || keys.length === 0) return new Set();
  return referredTo(session, table, keys, deletions);
}

/** Throws when others refer to a row of a parent's that a child has deleted: nothing goes that the child has not seen. */
export async function mustNotTakeAlong(session: ApplySession, table: CapturedTable, key: TextRow): Promise<void> {
  const keys = await watched(session, table);
  if (keys.length === 0 || (await referredTo(session, table, keys, [{ key }])).size === 0) return;
  throw new TomboloError(`rows that ${session.header.source} has not seen refer to the row of ${table.name}`, {
    code: "FOREIGN_KEY_VIOLATION",
    kind: "operator",
  });
}

/**
 * Deletes a row that the parent has deleted. What refers to it is this node's own, and its parent had not taken it then: the foreign key does
 * with it what it says, or refuses the deletion. The parent may have taken it over since, where it has made the row anew: it is asked for that.
 */
export async function deleteForParent(session: ApplySession, table: CapturedTable, key: TextRow): Promise<void> {
  const keys = await watched(session, table);
  const referred = keys.length > 0 && (await referredTo(session, table, keys, [{ key }])).size > 0;
  if (referred) await askForTakenAlong(session, table, key);
  const aloud = referred && session.quiet;
  if (aloud) await session.client.query("select set_config('session_replication_role', 'origin', true)");
  await deleteRow(session, table, key);
  // what is refused goes back with its savepoint
  if (aloud) await session.client.query("select set_config('session_replication_role', 'replica', true)");
}

/** All that goes, or changes, with the row, however far the foreign keys lead. */
async function askForTakenAlong({ client, context, outcome }: ApplySession, table: CapturedTable, key: TextRow): Promise<void> {
  const { rows: own } = await client.query<Place>(
    `select t.ctid::text as place, t.tableoid::text as part from ${table.sql} as t where ${keyWhere(table)}`,
    keyValues(table, key),
  );
  const open = own.map((place) => ({ of: table as Pick<CapturedTable, "sql">, ...place }));
  const seen = new Set<string>();
  for (const { of, place, part } of open) {
    for (const foreign of (await foreignKeys(client, of)).inward.filter((each) => actsOnShared(context, each))) {
      const columns = foreign.key.map((name) => `${literal(name)}, f.${ident(name)}::text`).join(", ");
      const { rows } = await client.query<Place & { readonly key: string }>(
        `select f.ctid::text as place, f.tableoid::text as part, json_build_object(${columns})::text as key
           from ${foreign.to} as t join ${foreign.from} as f on ${refers(foreign)} where t.ctid = $1::tid and t.tableoid = $2::oid`,
        [place, part],
      );
      for (const found of rows) {
        const id = `${found.part} ${found.place}`;
        if (seen.has(id)) continue;
        seen.add(id);
        outcome.wanted.push({ table: foreign.of as TableName, key: found.key });
        open.push({ of: { sql: foreign.from }, ...found });
      }
    }
  }
}

/** Of a row, as long as nobody changes it. */
interface Place {
  readonly place: string;
  readonly part: string;
}

async function referredTo<T extends { readonly key: TextRow }>(
  { client, context, quiet }: ApplySession,
  table: CapturedTable,
  keys: readonly ForeignKey[],
  rows: readonly T[],
): Promise<Set<T>> {
  const columns = table.key.map((name) => columnNamed(table, name));
  const arrays = columns.map((_, index) => `$${index + 1}::text[]`).join(", ");
  const names = columns.map((_, index) => `a${index}`).join(", ");
  const casts = columns.map((column, index) => `${typed(`a${index}`, column)} as k${index}`).join(", ");
  const is = (row: string, of = "x"): string =>
    columns.map((column, index) => `${row}.${ident(column.name)} = ${of}.k${index}`).join(" and ");
  // a row may refer to itself; and under the replica's role, to one that goes with the same statement
  const others = (key: ForeignKey): string => {
    if (key.from !== table.sql) return "";
    return quiet || context.from === "parent" ? `and not exists (select from x as y where ${is("f", "y")})` : `and not (${is("f")})`;
  };
  const found = keys.map((key) => `exists (select from ${key.from} as f where ${refers(key)} ${others(key)})`);
  const x = `with x as materialized (select ord, ${casts} from unnest(${arrays}) with ordinality as u(${names}, ord))`;
  const values = table.key.map((name) => textArray(rows.map(({ key }) => key[name] ?? null)));
  // two statements: what was added before the lock was had is seen by the second only
  await client.query({
    text: `${x} select from x join ${table.sql} as t on ${is("t")} order by ${columns.map((_, index) => `x.k${index}`).join(", ")} for update of t`,
    values,
  });
  const answer = await client.query({
    text: `${x} select x.ord from x join ${table.sql} as t on ${is("t")} where ${found.join(" or ")}`,
    values,
    rowMode: "array",
  });
  return new Set((answer.rows as [string][]).map(([ordinal]) => rows[Number(ordinal) - 1] as T));
}
