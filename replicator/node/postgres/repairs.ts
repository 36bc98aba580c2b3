import type pg from "pg";
import { TomboloError } from "../../change/error.ts";
import type { NodeName } from "../../change/names.ts";
import type { Row, RowText } from "../../change/value.ts";
import type { DigestTable, KeyText } from "../digest.ts";
import type { DiscardedVersion, OfferedRow, RepairedBy, Repairs } from "../repairs.ts";
import { textArray } from "./array-literal.ts";
import type { CapturedTable, CapturedTables } from "./captured-tables.ts";
import { transaction } from "./connection.ts";
import type { TextRow } from "./incoming.ts";
import { postgresError } from "./postgres-error.ts";
import { putRefresh, stampRefreshes } from "./refresh.ts";
import { keyText, lockRows } from "./rows.ts";
import type { LogGate } from "./slot/log-gate.ts";

const RECORD = `
  insert into tombolo.conflict_history (table_name, key, kind, policy, resolution, reason, parent_row, child_row, result_row,
      child_node, parent_changed_at, child_changed_at, status, resolved_by, resolved_at)
  values ($1, $2, $3, 'reconcile', $4, $5, $6, $7, $8, $9, to_timestamp($10::float8), to_timestamp($11::float8), 'resolved', $12, clock_timestamp())`;

/** How a Postgres node's rows are brought together with a neighbour's. */
export class PostgresRepairs implements Repairs {
  readonly #pool: pg.Pool;
  readonly #tables: CapturedTables;
  readonly #hstore: string;
  readonly #gate: LogGate;

  constructor(options: { readonly pool: pg.Pool; readonly tables: CapturedTables; readonly hstore: string; readonly gate: LogGate }) {
    this.#pool = options.pool;
    this.#tables = options.tables;
    this.#hstore = options.hstore;
    this.#gate = options.gate;
  }

  async overrule(
    rows: readonly { readonly table: DigestTable; readonly key: KeyText }[],
    discarded: readonly DiscardedVersion[],
    by: RepairedBy,
  ): Promise<void> {
    const tables = await this.#tables.named(rows.map(({ table }) => table.table));
    await transaction(this.#pool, async (client) => {
      const peerId = await peerIdOf(client, by.child);
      await record(client, discarded, by);
      for (const [at, { table, key }] of rows.entries()) {
        const access = { client, hstore: this.#hstore, gate: this.#gate };
        await putRefresh(access, tables[at] as CapturedTable, { key: keyRow(table, key), peerId, changedAt: null });
      }
      await stampRefreshes({ client, hstore: this.#hstore }, peerId);
    });
  }

  async record(discarded: readonly DiscardedVersion[], by: RepairedBy): Promise<void> {
    await transaction(this.#pool, (client) => record(client, discarded, by));
  }

  async offer(parent: NodeName, rows: readonly OfferedRow[]): Promise<void> {
    const tables = await this.#tables.named(rows.map(({ table }) => table.table));
    await transaction(this.#pool, async (client) => {
      const peerId = await peerIdOf(client, parent);
      for (const [at, row] of rows.entries()) await this.#offerRow(client, tables[at] as CapturedTable, { ...row, peerId });
    });
  }

  async lastChanged(table: DigestTable, keys: readonly RowText[]): Promise<readonly (number | null)[]> {
    const [captured] = await this.#tables.named([table.table]);
    try {
      const { rows } = await this.#pool.query<{ key: string; at: string }>(
        `select c.key, date_part('epoch', max(c.changed_at)) as at
           from (select ${this.#hstore}.hstore_to_json(key)::text as key, changed_at from tombolo.change where table_id = $1::int and target is null) as c
          where c.key = any ($2::text[]) group by c.key`,
        [captured?.id, textArray(keys)],
      );
      const found = new Map(rows.map(({ key, at }) => [key, Math.round(Number(at) * 1e6)]));
      return keys.map((key) => found.get(key) ?? null);
    } catch (error) {
      throw postgresError(error);
    }
  }

  async #offerRow(client: pg.PoolClient, table: CapturedTable, row: OfferedRow & { readonly peerId: number }): Promise<void> {
    const access = { client, hstore: this.#hstore };
    const key = keyRow(row.table, row.key);
    const [current = null] = await lockRows(access, table, [key]);
    if (current === null) return;
    // what has a smaller number in the log is part of the row
    await this.#gate.complete();
    const expected = row.expected;
    const before = expected === null ? null : Object.fromEntries(row.table.columns.map(({ name }, at) => [name, expected[at] ?? null]));
    const differing = Object.keys(current).filter((name) => before === null || before[name] !== current[name]);
    if (differing.length === 0) return;
    const names = before === null || table.wholeImages ? Object.keys(current) : differing;
    const image = (values: TextRow | null): string | null =>
      values === null ? null : textArray(names.map((name) => values[name] ?? null));
    await client.query({
      text: `insert into tombolo.change (table_id, op, segment, target, changed_at, key, old, new)
        select $1::int, $2::"char", s.segment, $3::int, coalesce(to_timestamp($4::float8), clock_timestamp()),
               (select ${this.#hstore}.hstore(array_agg(k.key), array_agg(k.value)) from json_each_text($5::json) as k),
               case when $7::text[] is not null then ${this.#hstore}.hstore($6::text[], $7::text[]) end, ${this.#hstore}.hstore($6::text[], $8::text[])
          from tombolo.log_state s`,
      values: [
        table.id,
        before === null ? "I" : "U",
        row.peerId,
        row.changedAt === null ? null : row.changedAt / 1e6,
        await keyText(access, table, key),
        textArray(names),
        image(before),
        image(current),
      ],
    });
  }
}

const keyRow = (table: DigestTable, key: KeyText): TextRow => {
  const texts = JSON.parse(key) as (string | null)[];
  return Object.fromEntries(table.key.map((name, at) => [name, texts[at] ?? null]));
};

async function peerIdOf(client: pg.ClientBase, name: NodeName): Promise<number> {
  const { rows } = await client.query<{ id: string }>("select id from tombolo.peer where name = $1", [name]);
  if (rows[0] === undefined) throw new TomboloError(`${name} is not known here as a neighbour`, { code: "PEER_UNKNOWN", kind: "retry" });
  return Number(rows[0].id);
}

/** A SQLite's text may hold what the JSON of Postgres does not take: that is written out, as JSON would. */
const json = (row: Row | null): string | null =>
  row === null
    ? null
    : JSON.stringify(row, (_, value: unknown) => (typeof value === "string" ? value.replace(UNTAKEN, writtenOut) : value));

const UNTAKEN = /\0|\p{Surrogate}/gu;
const writtenOut = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;

const seconds = (microseconds: number | null): number | null => (microseconds === null ? null : microseconds / 1e6);

async function record(client: pg.ClientBase, discarded: readonly DiscardedVersion[], { child, who, reason }: RepairedBy): Promise<void> {
  for (const { table, key, kind, resolution, parentRow, childRow, parentChangedAt, childChangedAt } of discarded) {
    await client.query(RECORD, [
      table.table,
      json(keyRow(table, key)),
      kind,
      resolution,
      reason,
      json(parentRow),
      json(childRow),
      json(resolution === "parent" ? parentRow : childRow),
      child,
      seconds(parentChangedAt),
      seconds(childChangedAt),
      who,
    ]);
  }
}
