import type { HandOver, TableDifference } from "../full-copy.ts";
import { imageOf, keyColumns } from "./capture.ts";
import { type CapturedTable, shapeIds } from "./captured-tables.ts";
import type { Connection } from "./connection.ts";
import { stageFile } from "./copy-runs.ts";
import type { StageAccess, StagedTable } from "./copy-table.ts";
import { quote } from "./identifier.ts";
import { condition } from "./row-filter.ts";

/** The name that the stage's file is attached by. */
export const STAGE = "tombolo_stage";

/** The pieces that statements over a table (`t`), what is staged for it (`s`) and what it has changed itself are made of. */
export interface Pieces {
  /** The table and what is staged, as far as they are within the full sync. */
  readonly here: string;
  readonly staged: string;
  readonly keysMatch: string;
  readonly isOwn: (row: "s" | "t") => string;
  readonly differs: string;
  readonly values: readonly string[];
  /** Nothing of the table's can be in the way. */
  readonly empty: boolean;
  /** Rows that only the table has stay. */
  readonly collected: boolean;
}

/** Lets `work` have the writing connection with the stage attached, which no transaction can do. */
export async function withStage<T>(access: StageAccess, work: () => Promise<T>): Promise<T> {
  const { file } = access;
  await file.exclusive(async (connection) => {
    connection.prepare(`attach ? as ${STAGE}`).run(stageFile(file.path));
  });
  try {
    return await work();
  } finally {
    await file.exclusive(async (connection) => {
      connection.exec(`detach ${STAGE}`);
    });
  }
}

/** FROM and WHERE of the log: what this node has changed itself and the source has not seen. */
export function ownChanges(
  connection: Connection,
  table: CapturedTable,
  { header, context }: HandOver,
): { readonly sql: string; readonly values: readonly (bigint | string)[] } {
  const rule = context.rules.get(table.name);
  if (rule?.oneWay === true) return { sql: "from tombolo_change where 0", values: [] };
  return {
    sql: `from tombolo_change where table_id in (${shapeIds(connection, table.id).join(", ")}) and seq > ?
           and target is null and (origin is null or origin <> (select id from tombolo_peer where name = ?))`,
    values: [(rule === undefined ? undefined : header.seen[rule.channel]) ?? 0n, header.source],
  };
}

/** Inside a transaction. Makes a temporary table of the keys that this node has changed itself and the source has not seen. */
export function piecesFor(connection: Connection, staged: StagedTable, handOver: HandOver): Pieces {
  const { within, collected } = handOver;
  const { table, relation, columns } = staged;
  const own = quote(`tombolo_own_${relation}`);
  connection.exec(`create temp table if not exists ${own} (key text primary key) without rowid; delete from temp.${own}`);
  const touched = ownChanges(connection, table, handOver);
  connection.prepare(`insert or ignore into temp.${own} select key ${touched.sql}`).run(...touched.values);
  const rows = within.get(table.name) ?? null;
  const limit = rows === null ? null : condition(rows);
  const inside = (from: string, as: string): string =>
    limit === null ? `${from} as ${as}` : `(select * from (select * from ${from}) as ${quote(table.local)} where ${limit.sql}) as ${as}`;
  const differs = columns.map(({ name, kind }) => {
    const other = `s.${quote(name)} is not t.${quote(name)} collate binary`;
    return kind === "none" ? `(${other} or typeof(s.${quote(name)}) <> typeof(t.${quote(name)}))` : other;
  });
  return {
    here: inside(`main.${quote(table.local)}`, "t"),
    staged: inside(`${STAGE}.${relation}`, "s"),
    keysMatch: table.key.map((name) => `t.${quote(name)} = s.${quote(name)}`).join(" and "),
    isOwn: (row) => `exists (select 1 from temp.${own} as o where o.key = ${imageOf(keyColumns(table), row)})`,
    differs: `(${differs.join(" or ")})`,
    values: limit?.values ?? [],
    collected: collected?.has(table.name) ?? false,
    empty:
      connection
        .prepare(`select exists (select 1 from main.${quote(table.local)})`)
        .pluck()
        .get() === 0n,
  };
}

/** So that rows that only the table has are found by their keys; outside of a transaction of the database's. */
export function indexStage(connection: Connection, { table, relation }: StagedTable): void {
  connection.exec(`create index if not exists ${STAGE}.${relation}_match on ${relation} (${table.key.map(quote).join(", ")})`);
}

/** What a hand-over would do, counted. */
export function compareStaged(
  access: StageAccess,
  tables: readonly StagedTable[],
  handOver: HandOver,
): Promise<readonly TableDifference[]> {
  return withStage(access, () =>
    access.file.write((connection) =>
      tables.map((staged) => {
        const pieces = piecesFor(connection, staged, handOver);
        if (!pieces.empty) indexStage(connection, staged);
        const count = (sql: string): number => {
          const places = sql.split("?").length - 1;
          return Number(
            connection
              .prepare(sql)
              .pluck()
              .get(...Array.from({ length: places }, (_, at) => pieces.values[at % pieces.values.length])),
          );
        };
        const { here, keysMatch, isOwn } = pieces;
        const all = `main.${quote(staged.table.local)} as t`;
        return {
          table: staged.table.name,
          added: count(
            `select count(*) from ${pieces.staged} where not exists (select 1 from ${all} where ${keysMatch}) and not ${isOwn("s")}`,
          ),
          changed: pieces.empty
            ? 0
            : count(
                `select count(*) from ${pieces.staged} cross join ${here} where ${keysMatch} and ${pieces.differs} and not ${isOwn("t")}`,
              ),
          removed:
            pieces.empty || pieces.collected
              ? 0
              : count(
                  `select count(*) from ${here} where not exists (select 1 from ${STAGE}.${staged.relation} as s where ${keysMatch}) and not ${isOwn("t")}`,
                ),
          kept: count(`select count(*) from temp.${quote(`tombolo_own_${staged.relation}`)}`),
        };
      }),
    ),
  );
}
