import type pg from "pg";
import { nodeName, type TableName, tableName } from "../../change/names.ts";
import type { Row } from "../../change/value.ts";
import type { ConflictKind, Resolution } from "../../change/verdict.ts";
import type { ConflictFilter, ConflictRecord } from "../conflict-desk.ts";
import type { CapturedTable } from "./captured-tables.ts";
import type { Queryable } from "./shape.ts";

const time = (column: string): string => `to_char(${column}, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as ${column}`;

const SELECT = `select id, ${time("detected_at")}, table_name, key::text, kind, policy, resolution, reason, to_json(columns)::text as columns,
  parent_row::text, child_row::text, base_row::text, result_row::text, child_node,
  ${time("parent_changed_at")}, ${time("child_changed_at")}, status, resolved_by, ${time("resolved_at")} from tombolo.conflict_history`;

type Stored = { readonly [column: string]: string | null };

/** Newest first. */
export async function readRecords(
  client: Queryable,
  filter: ConflictFilter,
  tables: ReadonlyMap<TableName, CapturedTable>,
): Promise<readonly ConflictRecord[]> {
  const values: unknown[] = [];
  const conditions: string[] = [];
  const where = (condition: string, value: unknown): void => {
    if (value === undefined) return;
    values.push(value);
    conditions.push(condition.replace("?", `$${values.length}`));
  };
  where("table_name = ?", filter.table);
  where("child_node = ?", filter.childNode);
  where("kind = ?", filter.kind);
  where("detected_at >= ?::timestamptz", filter.since);
  where("detected_at < ?::timestamptz", filter.until);
  where("id < ?::bigint", filter.before?.toString());
  if (filter.open === true) conditions.push("status = 'open'");
  values.push(filter.limit);
  const { rows } = await client.query<Stored>(
    `${SELECT} ${conditions.length === 0 ? "" : `where ${conditions.join(" and ")}`} order by id desc limit $${values.length}`,
    values,
  );
  return rows.map((row) => recordOf(row, tables));
}

/** Null when there is no such record. `lock` keeps others from deciding until the transaction ends. */
export async function readRecord(
  client: Queryable,
  id: bigint,
  tables: ReadonlyMap<TableName, CapturedTable>,
  lock = false,
): Promise<ConflictRecord | null> {
  const { rows } = await client.query<Stored>(`${SELECT} where id = $1::bigint${lock ? " for update" : ""}`, [id.toString()]);
  return rows[0] === undefined ? null : recordOf(rows[0], tables);
}

/** Writes what has been decided; the record must be locked. */
export async function storeDecision(
  client: pg.ClientBase,
  record: ConflictRecord,
  decided: { readonly resolution: Resolution; readonly reason: string; readonly who: string; readonly result: Row | null },
): Promise<void> {
  await client.query(
    `update tombolo.conflict_history
        set status = 'resolved', resolution = $2, reason = $3, resolved_by = $4, resolved_at = clock_timestamp(), result_row = $5::jsonb
      where id = $1::bigint`,
    [
      record.id.toString(),
      decided.resolution,
      decided.reason,
      decided.who,
      decided.result === null ? null : JSON.stringify(decided.result),
    ],
  );
}

function recordOf(stored: Stored, tables: ReadonlyMap<TableName, CapturedTable>): ConflictRecord {
  const table = tableName(stored.table_name ?? "");
  const row = (column: string): Row | null => inOrder(stored[column] ?? null, tables.get(table));
  return {
    id: BigInt(stored.id ?? 0),
    detectedAt: stored.detected_at ?? "",
    table,
    key: row("key") ?? {},
    kind: stored.kind as ConflictKind,
    policy: stored.policy ?? "",
    resolution: stored.resolution as Resolution,
    reason: stored.reason ?? "",
    columns: stored.columns == null ? null : (JSON.parse(stored.columns) as string[]),
    parent: row("parent_row"),
    child: row("child_row"),
    base: row("base_row"),
    result: row("result_row"),
    childNode: nodeName(stored.child_node ?? ""),
    parentChangedAt: stored.parent_changed_at ?? null,
    childChangedAt: stored.child_changed_at ?? null,
    status: stored.status === "open" ? "open" : "resolved",
    resolvedBy: stored.resolved_by ?? null,
    resolvedAt: stored.resolved_at ?? null,
  };
}

/** jsonb has an order of its own; people read a row in that of its table. */
function inOrder(text: string | null, table: CapturedTable | undefined): Row | null {
  if (text === null) return null;
  const row = JSON.parse(text) as Row;
  const names = (table?.columns ?? []).map(({ name }) => name).filter((name) => Object.hasOwn(row, name));
  return Object.fromEntries([...new Set([...names, ...Object.keys(row)])].map((name) => [name, row[name] ?? null]));
}
