import { type Replaced, replaced } from "../full-copy-history.ts";
import type { ApplySession } from "./apply-session.ts";
import { textArray } from "./array-literal.ts";
import type { Pieces } from "./copy-compare.ts";
import type { StagedTable } from "./copy-table.ts";
import { ident } from "./identifier.ts";

/** Keeps what a hand-over is about to replace, or to delete, in the conflict history: one statement each. */
export async function recordReplaced(session: ApplySession, staged: StagedTable, pieces: Pieces): Promise<void> {
  const { hstore } = session;
  const image = (row: string): string =>
    `(select ${hstore}.hstore(r.*) from (select ${staged.columns.map(({ name }) => `${row}.${ident(name)}`).join(", ")}) as r)`;
  const changed = `select ${image("t")} as o, ${image("s")} as n from ${pieces.joined} where ${pieces.differs} and not ${pieces.isOwn("t")}`;
  const gone = `select ${image("t")} as o, null::${hstore}.hstore as n from ${pieces.here}
    where not exists (select from ${staged.relation} as s where ${pieces.keysMatch}) and not ${pieces.isOwn("t")}`;
  const direction = session.context.taken === "child" ? "push" : "pull";
  await record(session, staged, { own: pieces.own, rows: changed, as: replaced(direction, "changed") });
  await record(session, staged, { own: pieces.own, rows: gone, as: replaced(direction, "gone") });
}

async function record(
  session: ApplySession,
  { table }: StagedTable,
  { own, rows, as }: { readonly own: string; readonly rows: string; readonly as: Replaced },
): Promise<void> {
  const { hstore, header } = session;
  const json = (side: "here" | "staged" | "none"): string =>
    side === "none" ? "null::jsonb" : `${hstore}.hstore_to_jsonb(${side === "here" ? "o" : "n"})`;
  const { rowCount } = await session.client.query(
    `${own} insert into tombolo.conflict_history (table_name, key, kind, policy, resolution, reason, parent_row, child_row, result_row, child_node, status, resolved_by, resolved_at)
      select $1, ${hstore}.hstore_to_jsonb(${hstore}.slice(o, $2::text[])), $3, $4, $5, $6, ${json(as.parentRow)}, ${json(as.childRow)}, ${hstore}.hstore_to_jsonb(n), $7,
             'resolved', 'full-sync', clock_timestamp()
        from (${rows} offset 0) as x where n is null or o operator(${hstore}.<>) n`,
    [
      table.name,
      textArray(table.key),
      as.kind,
      as.policy,
      as.resolution,
      as.reason,
      as.resolution === "parent" ? header.target : header.source,
    ],
  );
  for (let row = 0; row < (rowCount ?? 0); row++) session.outcome.conflict(table.name, as.kind, as.resolution);
}
