import { TomboloError } from "../../change/error.ts";
import { type NodeName, nodeName, type TableName, tableName } from "../../change/names.ts";
import { parseRow } from "../../change/value.ts";
import { PLAIN_RULE } from "../../change/verdict.ts";
import type { Discarded, ParkedDesk, ParkedDetails, ParkedRecord, RefusedChange, RefusedChanges } from "../parked-desk.ts";
import type { PeerRole } from "../target.ts";
import { type CapturedTable, capturedTables } from "./captured-tables.ts";
import { type Clock, isoOfMicroseconds, isoTime } from "./clock.ts";
import type { Connection, DatabaseFile } from "./connection.ts";
import { giveUp } from "./give-up.ts";
import type { IncomingTable } from "./incoming.ts";
import { incomingTable } from "./incoming-table.ts";
import { requireCurrent } from "./migrations.ts";
import { obstaclesOf } from "./obstacles.ts";
import { fromRecord, PARKED_COLUMNS, type ParkedChange, type StoredParked } from "./parked.ts";
import { parkedRow } from "./parked-row.ts";
import { putRefresh, refreshAll } from "./refresh.ts";

const SELECT = `select ${PARKED_COLUMNS}, c.parked_at, c.tried_at, p.id as peer_id, p.name as peer, p.role
  from tombolo_parked_change c join tombolo_peer p on p.id = c.peer_id`;

interface Listed extends StoredParked {
  readonly parked_at: string;
  readonly tried_at: string;
  readonly peer_id: bigint;
  readonly peer: string;
  readonly role: PeerRole;
}

/** The changes that a SQLite node has set aside. */
export class SqliteParkedDesk implements ParkedDesk {
  readonly #file: DatabaseFile;
  readonly #clock: Clock;

  constructor(options: { readonly file: DatabaseFile; readonly clock: Clock }) {
    this.#file = options.file;
    this.#clock = options.clock;
  }

  async list(filter: Parameters<ParkedDesk["list"]>[0]): Promise<readonly ParkedRecord[]> {
    return this.#read((connection) => {
      const rows = connection
        .prepare(
          `${SELECT} where (:peer is null or p.name = :peer) and (:table is null or c.table_name = :table) and c.id > :after order by c.id limit :limit`,
        )
        .all({ peer: filter.peer ?? null, table: filter.table ?? null, limit: filter.limit, after: filter.after ?? 0n }) as Listed[];
      return rows.map(recordOf);
    });
  }

  async show(id: bigint): Promise<ParkedDetails | null> {
    return this.#read((connection) => {
      const row = connection.prepare(`${SELECT} where c.id = ?`).get(id) as Listed | undefined;
      if (row === undefined) return null;
      const parked = fromRecord(row);
      const captured = capturedTables(connection);
      const incoming = incomingOf(connection, parked, captured);
      const found = parkedRow(connection, incoming, parked.change);
      const tables = new Map([...captured.values()].map((table) => [table.local.toLowerCase(), table]));
      const obstacles =
        incoming === null || found.bound === null
          ? []
          : obstaclesOf(connection, { incoming, parked, row: found, peerId: Number(row.peer_id), tables });
      return { record: recordOf(row), now: found.now, theirs: found.theirs, obstacles };
    });
  }

  async discard(id: bigint, by: { readonly who: string }): Promise<Discarded> {
    this.#read(() => undefined);
    return this.#file.write((connection) => {
      const row = connection.prepare(`${SELECT} where c.id = ?`).get(id) as Listed | undefined;
      if (row === undefined) throw this.#unknown(id);
      const parked = fromRecord(row);
      const wanted = row.role === "parent" && parked.change.op !== "T" ? [{ table: parked.table, key: parked.change.key }] : [];
      if (row.role === "child") this.#giveUp(connection, parked, row, by.who);
      for (const one of wanted) {
        connection
          .prepare("update tombolo_peer set received_receipt = json_insert(received_receipt, '$.wanted[#]', json(?)) where id = ?")
          .run(JSON.stringify(one), row.peer_id);
      }
      connection
        .prepare("delete from tombolo_parked_change where peer_id = ? and table_name = ? and key = ? and (op = 'T') = (? = 'T')")
        .run(row.peer_id, row.table_name, row.key, row.op);
      connection.prepare("insert into tombolo_audit (at, who, what, details) values (?, ?, 'parked discard', ?)").run(
        isoTime(this.#clock()),
        by.who,
        JSON.stringify({
          id: id.toString(),
          peer: row.peer,
          table: row.table_name,
          op: row.op,

          code: row.code,
        }),
      );
      return { record: recordOf(row), wanted };
    });
  }

  async refused(peer: NodeName, limit: number): Promise<RefusedChanges> {
    return this.#file.read((connection) => {
      const rows = connection
        .prepare(
          `select c.table_name, c.op, c.key, c.code, c.reason, c.parked_at, count(*) over () as total
             from tombolo_parked_change c join tombolo_peer p on p.id = c.peer_id where p.name = ? order by c.id limit ?`,
        )
        .all(peer, limit) as (StoredRefused & { readonly total: bigint })[];
      return { total: Number(rows[0]?.total ?? 0), changes: rows.map(refusedOf) };
    });
  }

  async lackingColumns(peer: NodeName): Promise<readonly TableName[]> {
    return this.#file.read((connection) => {
      const rows = connection
        .prepare(
          `select distinct c.table_name from tombolo_parked_change c join tombolo_peer p on p.id = c.peer_id
            where p.name = ? and c.code = 'COLUMN_MISSING' order by 1`,
        )
        .all(peer) as { readonly table_name: TableName }[];
      return rows.map(({ table_name: table }) => table);
    });
  }

  async noteRefused(peer: NodeName, { total, changes }: RefusedChanges): Promise<void> {
    const known = this.#file.read((connection) => {
      const row = connection.prepare("select id, refused_changes as total from tombolo_peer where name = ?").get(peer) as
        | { readonly id: bigint; readonly total: bigint }
        | undefined;
      if (row === undefined) return null;
      const rows = connection.prepare("select * from tombolo_refused_change where peer_id = ? order by id").all(row.id) as StoredRefused[];
      return { id: row.id, total: Number(row.total), told: JSON.stringify(rows.map(refusedOf)) };
    });
    const told = changes.map(({ table, op, key, code, reason, parkedAt }): RefusedChange => ({ table, op, key, code, reason, parkedAt }));
    if (known === null || (known.total === total && known.told === JSON.stringify(told))) return;
    await this.#file.write((connection) => {
      connection.prepare("update tombolo_peer set refused_changes = ? where id = ?").run(total, known.id);
      connection.prepare("delete from tombolo_refused_change where peer_id = ?").run(known.id);
      const insert = connection.prepare(
        "insert into tombolo_refused_change (peer_id, table_name, op, key, code, reason, parked_at) values (?, ?, ?, ?, ?, ?, ?)",
      );
      for (const one of told) insert.run(known.id, one.table, one.op, one.key, one.code, one.reason, one.parkedAt);
    });
  }

  #giveUp(connection: Connection, parked: ParkedChange, peer: { readonly peer: string; readonly peer_id: bigint }, who: string): void {
    const incoming = incomingOf(connection, parked, capturedTables(connection));
    const row = giveUp({ connection, clock: this.#clock }, { table: incoming, parked, child: peer.peer, how: "discarded", by: who });
    if (incoming === null || incoming.misfit !== null) return;
    const { table } = incoming;
    const at = isoTime(this.#clock());
    if (parked.change.op === "T") refreshAll(connection, { table, peer: Number(peer.peer_id), at });
    else if (row.bound !== null) putRefresh(connection, { table, key: row.bound, peer: Number(peer.peer_id), at });
  }

  /** Refuses a database in which parked changes are not there, or not as this version has them. */
  #read<T>(work: (connection: Connection) => T): T {
    return this.#file.read((connection) => {
      requireCurrent(connection, this.#file.node);
      return work(connection);
    });
  }

  #unknown(id: bigint): TomboloError {
    return new TomboloError(`${this.#file.node} has no parked change ${id}`, {
      code: "PARKED_UNKNOWN",
      kind: "usage",
      hint: "`tombolo parked list` shows them; it may have gone through meanwhile.",
    });
  }
}

/** Null where the table is not captured any more. */
function incomingOf(connection: Connection, parked: ParkedChange, captured: ReadonlyMap<TableName, CapturedTable>): IncomingTable | null {
  const table = captured.get(parked.table);
  if (table === undefined) return null;
  return incomingTable(connection, { table, shape: parked.shape, rule: { ...PLAIN_RULE, table: table.name, channel: table.channel } });
}

interface StoredRefused {
  readonly table_name: string;
  readonly op: string;
  readonly key: string;
  readonly code: string;
  readonly reason: string;
  readonly parked_at: string;
}

const refusedOf = (row: StoredRefused): RefusedChange => ({
  table: tableName(row.table_name),
  op: row.op,
  key: row.key,
  code: row.code,
  reason: row.reason,
  parkedAt: row.parked_at,
});

const recordOf = (row: Listed): ParkedRecord => ({
  id: row.id,
  peer: nodeName(row.peer),
  role: row.role,
  table: tableName(row.table_name),
  op: row.op,
  key: parseRow(row.key),
  old: row.old === null ? null : parseRow(row.old),
  new: row.new === null ? null : parseRow(row.new),
  code: row.code,
  reason: row.reason,
  attempts: Number(row.attempts),
  changedAt: isoOfMicroseconds(Number(row.changed_at)) ?? "",
  parkedAt: row.parked_at,
  triedAt: row.tried_at,
});
