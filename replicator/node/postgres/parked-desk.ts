import type pg from "pg";
import { TomboloError } from "../../change/error.ts";
import { type NodeName, nodeName, type TableName } from "../../change/names.ts";
import { parseRow } from "../../change/value.ts";
import { PLAIN_RULE } from "../../change/verdict.ts";
import type { Discarded, ParkedDesk, ParkedDetails, ParkedRecord, RefusedChange, RefusedChanges } from "../parked-desk.ts";
import type { PeerRole } from "../target.ts";
import type { CapturedTables } from "./captured-tables.ts";
import { READING, transaction } from "./connection.ts";
import { giveUp } from "./give-up.ts";
import { IncomingTable, type TextRow } from "./incoming.ts";
import { requireCurrent } from "./migrate.ts";
import { obstaclesOf } from "./obstacles.ts";
import { fromRecord, PARKED_COLUMNS, type ParkedChange, type StoredParked } from "./parked.ts";
import { parkedRow } from "./parked-row.ts";
import { postgresError } from "./postgres-error.ts";
import { putRefresh, type RefreshAccess, refreshAll } from "./refresh.ts";
import type { LogGate } from "./slot/log-gate.ts";

const iso = (column: string): string => `to_char(${column}, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;

const SELECT = `select ${PARKED_COLUMNS}, ${iso("c.changed_at")} as changed, ${iso("c.parked_at")} as parked, ${iso("c.tried_at")} as tried,
    p.id as peer_id, p.name as peer, p.role
  from tombolo.parked_change c join tombolo.peer p on p.id = c.peer_id`;

/** The changes that a Postgres node has set aside. */
export class PostgresParkedDesk implements ParkedDesk {
  readonly #name: NodeName;
  readonly #pool: pg.Pool;
  readonly #tables: CapturedTables;
  readonly #hstore: string;

  readonly #gate: LogGate;

  constructor(options: {
    readonly name: NodeName;
    readonly pool: pg.Pool;
    readonly tables: CapturedTables;
    readonly hstore: string;
    readonly gate: LogGate;
  }) {
    this.#gate = options.gate;
    this.#name = options.name;
    this.#pool = options.pool;
    this.#tables = options.tables;
    this.#hstore = options.hstore;
  }

  async list(filter: Parameters<ParkedDesk["list"]>[0]): Promise<readonly ParkedRecord[]> {
    try {
      await requireCurrent(this.#pool);
      const { rows } = await this.#pool.query<StoredParked>(
        `${SELECT} where ($1::text is null or p.name = $1) and ($2::text is null or c.table_name = $2) and c.id > $4 order by c.id limit $3`,
        [filter.peer ?? null, filter.table ?? null, filter.limit, (filter.after ?? 0n).toString()],
      );
      return rows.map(recordOf);
    } catch (error) {
      throw postgresError(error);
    }
  }

  async show(id: bigint): Promise<ParkedDetails | null> {
    const work = async (client: pg.ClientBase): Promise<ParkedDetails | null> => {
      await requireCurrent(client);
      const { rows } = await client.query<StoredParked>(`${SELECT} where c.id = $1`, [id.toString()]);
      const [row] = rows;
      if (row === undefined) return null;
      const access = { client, hstore: this.#hstore };
      const parked = fromRecord(row);
      const incoming = await this.#incoming(parked);
      const found = await parkedRow(access, parked.change.op === "T" ? null : incoming, parked.change);
      const tables = await this.#tables.all();
      const obstacles =
        incoming === null || !found.readable
          ? []
          : await obstaclesOf(access, { incoming, parked, row: found, peerId: Number(row.peer_id), tables });
      return { record: recordOf(row), now: found.now, theirs: found.theirs, obstacles };
    };
    return transaction(this.#pool, work, READING);
  }

  async discard(id: bigint, by: { readonly who: string }): Promise<Discarded> {
    return transaction(this.#pool, async (client) => {
      // waits for whoever applies from the peer
      const { rows } = await client.query<StoredParked>(`${SELECT} where c.id = $1 for update of p`, [id.toString()]);
      const [row] = rows;
      if (row === undefined) throw this.#unknown(id);
      const parked = fromRecord(row);
      const peer = { id: Number(row.peer_id), name: row.peer as string };
      const wanted = row.role === "parent" && parked.change.op !== "T" ? [{ table: parked.table, key: parked.change.key }] : [];
      if (row.role === "child") await this.#giveUp({ client, hstore: this.#hstore, gate: this.#gate }, parked, peer, by.who);
      else await want(client, peer.id, wanted);
      await client.query(
        "delete from tombolo.parked_change where peer_id = $1 and table_name = $2 and key::text = $3 and (op = 'T') = ($4 = 'T')",
        [peer.id, parked.table, row.key, parked.change.op],
      );
      await client.query("insert into tombolo.audit (who, what, details) values ($1, 'parked discard', $2)", [
        by.who,
        JSON.stringify({
          id: id.toString(),
          peer: peer.name,
          table: parked.table,
          op: parked.change.op,
          code: parked.code,
        }),
      ]);
      return { record: recordOf(row), wanted };
    });
  }

  async refused(peer: NodeName, limit: number): Promise<RefusedChanges> {
    try {
      const { rows } = await this.#pool.query<{ [column: string]: string }>(
        `select c.table_name, c.op, c.key::text as key, c.code, c.reason, ${iso("c.parked_at")} as parked, count(*) over () as total
           from tombolo.parked_change c join tombolo.peer p on p.id = c.peer_id where p.name = $1 order by c.id limit $2`,
        [peer, limit],
      );
      const changes = rows.map(
        (row): RefusedChange => ({
          table: row.table_name as TableName,
          op: row.op as string,
          key: row.key as string,
          code: row.code as string,
          reason: row.reason as string,
          parkedAt: row.parked as string,
        }),
      );
      return { total: Number(rows[0]?.total ?? 0), changes };
    } catch (error) {
      throw postgresError(error);
    }
  }

  async lackingColumns(peer: NodeName): Promise<readonly TableName[]> {
    try {
      const { rows } = await this.#pool.query<{ table_name: TableName }>(
        `select distinct c.table_name from tombolo.parked_change c join tombolo.peer p on p.id = c.peer_id
          where p.name = $1 and c.code = 'COLUMN_MISSING' order by 1`,
        [peer],
      );
      return rows.map(({ table_name: table }) => table);
    } catch (error) {
      throw postgresError(error);
    }
  }

  async noteRefused(peer: NodeName, { total, changes }: RefusedChanges): Promise<void> {
    const told = JSON.stringify(changes.map(({ table, op, key, code, reason, parkedAt }) => ({ table, op, key, code, reason, parkedAt })));
    const { rows } = await this.#pool.query<{ known: string; total: string; id: string }>(
      `select p.id, p.refused_changes as total, coalesce((select json_agg(json_build_object('table', r.table_name, 'op', r.op, 'key', r.key::text,
                'code', r.code, 'reason', r.reason, 'parkedAt', ${iso("r.parked_at")}) order by r.id) from tombolo.refused_change r where r.peer_id = p.id), '[]')::text as known
         from tombolo.peer p where p.name = $1`,
      [peer],
    );
    const [known] = rows;
    if (known === undefined || (Number(known.total) === total && JSON.stringify(JSON.parse(known.known)) === told)) return;
    await transaction(this.#pool, async (client) => {
      await client.query("update tombolo.peer set refused_changes = $2 where id = $1", [known.id, total]);
      await client.query("delete from tombolo.refused_change where peer_id = $1", [known.id]);
      await client.query(
        `insert into tombolo.refused_change (peer_id, table_name, op, key, code, reason, parked_at)
           select $1, told."table", told.op, told.key::json, told.code, told.reason, told."parkedAt"
             from json_to_recordset($2::json) as told ("table" text, op text, key text, code text, reason text, "parkedAt" timestamptz)`,
        [known.id, told],
      );
    });
  }

  async #giveUp(
    access: RefreshAccess,
    parked: ParkedChange,
    peer: { readonly id: number; readonly name: string },
    who: string,
  ): Promise<void> {
    const incoming = await this.#incoming(parked);
    const truncate = parked.change.op === "T";
    const row = await giveUp(access, { table: truncate ? null : incoming, parked, child: peer.name, how: "discarded", by: who });
    if (incoming === null) return;
    if (truncate) await refreshAll(access, incoming.table, peer.id);
    else if (row.readable) await putRefresh(access, incoming.table, { key: row.key as TextRow, peerId: peer.id, changedAt: null });
  }

  /** Null where the table is not captured any more, or no longer has the columns that it had. */
  async #incoming({ table: name, shape }: ParkedChange): Promise<IncomingTable | null> {
    const table = (await this.#tables.all()).get(name);
    return table === undefined ? null : new IncomingTable(table, shape, { ...PLAIN_RULE, table: name, channel: table.channel });
  }

  #unknown(id: bigint): TomboloError {
    return new TomboloError(`${this.#name} has no parked change ${id}`, {
      code: "PARKED_UNKNOWN",
      kind: "usage",
      hint: "`tombolo parked list` shows them; it may have gone through meanwhile.",
    });
  }
}

/** Adds rows to those that the last packet's receipt asks for. */
async function want(client: pg.ClientBase, peerId: number, wanted: Discarded["wanted"]): Promise<void> {
  await client.query(
    `update tombolo.peer set received_receipt = jsonb_set(received_receipt, '{wanted}', coalesce(received_receipt -> 'wanted', '[]') || $2::jsonb)
      where id = $1 and received_receipt is not null`,
    [peerId, JSON.stringify(wanted)],
  );
}

const recordOf = (row: StoredParked): ParkedRecord => ({
  id: BigInt(row.id as string),
  peer: nodeName(row.peer as string),
  role: row.role as PeerRole,
  table: row.table_name as TableName,
  op: row.op as string,
  key: parseRow(row.key as string),
  old: row.old == null ? null : parseRow(row.old),
  new: row.new == null ? null : parseRow(row.new),
  code: row.code as string,
  reason: row.reason as string,
  attempts: Number(row.attempts),
  changedAt: row.changed as string,
  parkedAt: row.parked as string,
  triedAt: row.tried as string,
});
