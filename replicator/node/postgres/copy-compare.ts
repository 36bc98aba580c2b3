import type pg from "pg";
import type { TableName } from "../../change/names.ts";
import type { Column } from "../../change/shape.ts";
import type { HandOver, TableDifference } from "../full-copy.ts";
import type { CapturedTable } from "./captured-tables.ts";
import { typed } from "./column-sql.ts";
import { transaction } from "./connection.ts";
import { filterLiteral } from "./copy-source.ts";
import type { StageAccess, StagedTable } from "./copy-table.ts";
import { ident, literal } from "./identifier.ts";
import { columnNamed } from "./set-statements.ts";

/** The pieces that statements over a table (`t`), what is staged for it (`s`) and what it has changed itself (`p`) are made of. */
export interface Pieces {
  /** `with own as (…)`: keys of rows that this node has changed and the source has not seen. */
  readonly own: string;
  /** FROM of the rows that both have; of the table only those that are within the full sync. */
  readonly joined: string;
  /** The table, and what is staged, as far as it is within. */
  readonly here: string;
  readonly staged: string;
  readonly keysMatch: string;
  readonly isOwn: (row: "s" | "t") => string;
  readonly differs: string;
  /** Nothing of the table's can be in the way. */
  readonly empty: boolean;
  /** Rows that only the table has stay. */
  readonly collected: boolean;
}

const keyColumns = (table: CapturedTable): readonly Column[] => table.key.map((name) => columnNamed(table, name));

/** `with own as (…)`: what was applied from the source is not this node's own. */
export function ownKeys(table: CapturedTable, options: { readonly hstore: string; readonly handOver: HandOver }): string {
  const { header, context } = options.handOver;
  const rule = context.rules.get(table.name);
  const seen = rule === undefined ? null : (header.seen[rule.channel] ?? null);
  const typedKeys = keyColumns(table).map(
    (column, at) => `${typed(`(c.key operator(${options.hstore}.->) ${literal(column.name)})`, column)} as k${at}`,
  );
  const nothing = rule?.oneWay === true ? " and false" : "";
  return `with since as (select coalesce((select snapshot from tombolo.tick where position >= ${seen ?? 0n} and ${seen ?? 0n} > 0 order by position limit 1), '1:1:') as snapshot),
    own as materialized (select distinct ${typedKeys.join(", ")} from since, tombolo.change c
      where c.table_id = ${table.id} and c.target is null and c.op <> 'T' and c.xid >= pg_snapshot_xmin(since.snapshot) and not pg_visible_in_snapshot(c.xid, since.snapshot)
        and c.origin is distinct from (select id from tombolo.peer where name = ${literal(header.source)})${nothing})`;
}

export async function piecesFor(
  client: pg.ClientBase,
  staged: StagedTable,
  options: { readonly hstore: string; readonly handOver: HandOver },
): Promise<Pieces> {
  const { table, relation, columns } = staged;
  const { within } = options.handOver;
  const keys = keyColumns(table);
  const rows = within.get(table.name) ?? null;
  const inside = (relation: string, columns: string): string =>
    `(select * from (select ${columns} from ${relation}) as ${ident(table.local)}${rows === null ? "" : ` where ${filterLiteral(rows)}`})`;
  const all = table.columns.map(({ name }) => ident(name)).join(", ");
  const here = rows === null ? `${table.sql} as t` : `${inside(table.sql, all)} as t`;
  const waiting = rows === null ? `${relation} as s` : `${inside(relation, columns.map(({ name }) => ident(name)).join(", "))} as s`;
  const keysMatch = keys.map(({ name }) => `s.${ident(name)} = t.${ident(name)}`).join(" and ");
  const list = (row: string): string => columns.map(({ name }) => `${row}.${ident(name)}`).join(", ");
  const { rows: any } = await client.query<{ any: string }>(`select exists (select from ${table.sql}) as any`);
  return {
    own: ownKeys(table, options),
    here,
    staged: waiting,
    joined: `${waiting} join ${here} on ${keysMatch}`,
    keysMatch,
    isOwn: (row) => `exists (select from own as p where ${keys.map(({ name }, at) => `p.k${at} = ${row}.${ident(name)}`).join(" and ")})`,
    differs: `record_image_ne(row(${list("s")}), row(${list("t")}))`,
    empty: any[0]?.any !== "t",
    collected: options.handOver.collected?.has(table.name) ?? false,
  };
}

/** What a hand-over would do, counted. */
export function compareStaged(
  access: StageAccess,
  tables: readonly StagedTable[],
  handOver: HandOver,
): Promise<readonly TableDifference[]> {
  return transaction(access.pool, async (client) => {
    await client.query("set local enable_seqscan = on");
    const found: TableDifference[] = [];
    for (const staged of tables) found.push(await compareTable(client, staged, { hstore: access.hstore, handOver }));
    return found;
  });
}

async function compareTable(
  client: pg.ClientBase,
  staged: StagedTable,
  options: { readonly hstore: string; readonly handOver: HandOver },
): Promise<TableDifference> {
  const table: TableName = staged.table.name;
  const pieces = await piecesFor(client, staged, options);
  if (pieces.empty) {
    const { rows } = await client.query<{ added: string }>(
      `${pieces.own} select count(*) as added from ${pieces.staged} where not ${pieces.isOwn("s")}`,
    );
    return { table, added: Number(rows[0]?.added ?? 0), changed: 0, removed: 0, kept: 0 };
  }
  const [key] = staged.table.key.map(ident);
  const { rows } = await client.query<{ [count: string]: string }>(
    `${pieces.own} select count(*) filter (where t.${key} is null and not own) as added, count(*) filter (where s.${key} is null and not own) as removed,
            count(*) filter (where s.${key} is not null and t.${key} is not null and not own and (${pieces.differs})) as changed, (select count(*) from own) as kept
       from ${pieces.staged} full join ${pieces.here} on ${pieces.keysMatch}
      cross join lateral (select case when t.${key} is null then ${pieces.isOwn("s")} else ${pieces.isOwn("t")} end as own) as o`,
  );
  const count = (name: string): number => Number(rows[0]?.[name] ?? 0);
  return { table, added: count("added"), changed: count("changed"), removed: pieces.collected ? 0 : count("removed"), kept: count("kept") };
}
