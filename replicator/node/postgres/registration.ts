import pg from "pg";
import type { WantedTable } from "../installation.ts";
import { textArray } from "./array-literal.ts";
import { qualified } from "./identifier.ts";
import { needsRowTriggers, type Queryable, type Relation, shapeOf } from "./shape.ts";

/** A row of tombolo.captured_table, as far as installing and verifying need it. */
export interface Registered {
  readonly id: number;
  readonly table: string;
  readonly channel: string;
  readonly relation: string;
  readonly schema: string;
  readonly name: string;
  readonly whole: boolean;
  readonly rowLevel: boolean;
  readonly excluded: readonly string[];
  readonly fingerprint: string;
  readonly storage: Storage | null;
  readonly state: string;
  readonly reason: string | null;
  /** The replica identity before the table was captured from a slot: see 0004_conflicts.sql. */
  readonly identityBefore: string | null;
}

/** What shows that rows came or went without a trigger: see 0003_drift.sql. */
export interface Storage {
  readonly filenode: string;
  readonly columnMarks: string;
  /** Oids of the leaf partitions. */
  readonly partitions: readonly string[];
}

export const storageOf = ({ filenode, columnMarks, partitions }: Relation): Storage => ({
  filenode,
  columnMarks,
  partitions: partitions.map(({ oid }) => oid),
});

export const sameStorage = (a: Storage | null, b: Storage): boolean =>
  a !== null && a.filenode === b.filenode && a.columnMarks === b.columnMarks && a.partitions.join() === b.partitions.join();

export async function registeredTables(client: Queryable): Promise<Registered[]> {
  const { rows } = await client.query<{ registered: string }>(
    // by way of jsonb, where an older version has no such column
    `select coalesce(json_agg(json_build_object('id', id, 'table', table_name, 'channel', channel, 'relation', relation::text, 'schema', local_schema, 'name', local_table,
              'whole', whole_images, 'rowLevel', row_level, 'excluded', coalesce(to_jsonb(c) -> 'excluded', '[]'), 'fingerprint', fingerprint,
              'storage', storage, 'state', state, 'reason', reason, 'identityBefore', to_jsonb(c) ->> 'identity_before') order by id), '[]')::text as registered
       from tombolo.captured_table c`,
  );
  return JSON.parse(rows[0]?.registered ?? "[]") as Registered[];
}

/** The number that the next table gets; numbers are never given twice, because the log refers to them. */
export async function nextTableId(client: Queryable): Promise<number> {
  const { rows } = await client.query<{ next: string }>(
    "select case when is_called then last_value + 1 else last_value end as next from tombolo.captured_table_id_seq",
  );
  return Number(rows[0]?.next);
}

const literal = (value: string): string => pg.escapeLiteral(value);

/** What the registration says, as column and SQL expression. */
function values(wanted: WantedTable, relation: Relation): [column: string, expression: string][] {
  const shape = shapeOf(relation, wanted.table, wanted.channel, wanted.exclude);
  return [
    ["channel", literal(wanted.channel)],
    ["relation", `${literal(qualified(relation.schema, relation.name))}::regclass`],
    ["local_schema", literal(relation.schema)],
    ["local_table", literal(relation.name)],
    ["columns", literal(JSON.stringify(shape.columns))],
    ["key_columns", literal(textArray(shape.key))],
    ["whole_images", String(wanted.wholeImages)],
    ["row_level", String(needsRowTriggers(relation))],
    ["excluded", literal(textArray(wanted.exclude))],
    ["fingerprint", literal(shape.hash)],
    ["storage", literal(JSON.stringify(storageOf(relation)))],
  ];
}

export function registerSql(id: number, wanted: WantedTable, relation: Relation): string {
  const pairs: [string, string][] = [["id", String(id)], ["table_name", literal(wanted.table)], ...values(wanted, relation)];
  const columns = pairs.map(([column]) => column).join(", ");
  const row = pairs.map(([, expression]) => expression).join(", ");
  return (
    `insert into tombolo.captured_table (${columns}) overriding system value\n  values (${row});\n` +
    `select pg_catalog.setval('tombolo.captured_table_id_seq', ${id});`
  );
}

export function reregisterSql(registered: Registered, wanted: WantedTable, relation: Relation): string {
  const pairs = values(wanted, relation);
  // what a column held until now is not the same everywhere
  if (travelAgain(registered, wanted, relation).length > 0) pairs.push(["state", "'must_compare'"], ["reason", literal(TRAVELS_AGAIN)]);
  return `update tombolo.captured_table set ${pairs.map((pair) => pair.join(" = ")).join(", ")} where id = ${registered.id};`;
}

/** Why a table must be compared whose columns no longer stay at home. */
export const TRAVELS_AGAIN = "EXCLUDED_COLUMN_TRAVELS";

/** Columns that stayed at home until now. */
export const travelAgain = (registered: Registered, wanted: WantedTable, relation: Relation): string[] =>
  registered.excluded.filter((name) => !wanted.exclude.includes(name) && relation.columns.some((column) => column.name === name));

export function unregisterSql(registered: Registered): string {
  const name = literal(registered.table);
  return `delete from tombolo.peer_table where table_name = ${name};\ndelete from tombolo.captured_table where id = ${registered.id};`;
}

/** True when the registration no longer says what the topology and the catalog do. */
export function isStale(registered: Registered, wanted: WantedTable, relation: Relation): boolean {
  return (
    registered.channel !== wanted.channel ||
    registered.relation !== relation.oid ||
    registered.schema !== relation.schema ||
    registered.name !== relation.name ||
    registered.whole !== wanted.wholeImages ||
    registered.rowLevel !== needsRowTriggers(relation) ||
    registered.excluded.join("\0") !== wanted.exclude.join("\0") ||
    registered.fingerprint !== shapeOf(relation, wanted.table, wanted.channel, wanted.exclude).hash ||
    !sameStorage(registered.storage, storageOf(relation))
  );
}
