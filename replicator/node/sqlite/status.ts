import { TomboloError } from "../../change/error.ts";
import { epoch, nodeName, tableName } from "../../change/names.ts";
import { RUNS_IN_STATUS } from "../full-sync-runs.ts";
import type { NodeIdentity } from "../identity.ts";
import type { Finding, NodeStatus, PeerNote, PeerStatus, WaitingChanges } from "../installation.ts";
import { type AcknowledgedPlace, type ChangesBehind, countedAtPlace, type Pending, pendingBy } from "../pending.ts";
import { capturedTables, isInstalled, requireInstalled } from "./captured-tables.ts";
import { microseconds } from "./clock.ts";
import { type Connection, type DatabaseFile, sqliteVersion } from "./connection.ts";
import { newestRuns } from "./copy-runs.ts";
import { requireCurrent } from "./migrations.ts";
import { prepared } from "./rows.ts";

/** Counting the log stops here: a person needs no more, and status must stay cheap. */
const COUNT_LIMIT = 100_000;

export function identity(file: DatabaseFile): NodeIdentity {
  return file.read((connection) => {
    requireInstalled(connection, file.node);
    return {
      epoch: epoch(connection.prepare("select epoch from tombolo_node").pluck().get() as string),
      // the file is on this machine: its clock is ours
      clockOffsetMs: 0,
      version: `SQLite ${sqliteVersion(connection)}`,
    };
  });
}

export function status(file: DatabaseFile): NodeStatus {
  const own = identity(file);
  return file.read((connection) => {
    requireCurrent(connection, file.node);
    const count = (sql: string): number => Number(connection.prepare(sql).pluck().get());
    const log = logSize(connection);
    return {
      identity: own,
      fullSyncs: newestRuns(connection, RUNS_IN_STATUS),
      logRows: log.rows,
      logBytes: log.bytes,
      openConflicts: count("select count(*) from tombolo_conflict_history where status = 'open'"),
      parkedChanges: count("select count(*) from tombolo_parked_change"),
      revision: revision(connection),
      peers: peers(connection),
      tables: [...capturedTables(connection).values()].map(({ name, state, reason }) => ({ table: name, state, reason })),
    };
  });
}

function revision(connection: Connection): string {
  const newest = (table: string): string => `coalesce((select max(id) from ${table}), 0)`;
  const tables = ["tombolo_conflict_history", "tombolo_parked_change", "tombolo_reconcile_run", "tombolo_audit"];
  return connection
    .prepare(`select ${tables.map(newest).join(" || '.' || ")}`)
    .pluck()
    .get() as string;
}

/** About how large the change log is. */
export function logSize(connection: Connection): { readonly rows: number; readonly bytes: number } {
  const count = (sql: string): number => Number(connection.prepare(sql).pluck().get());
  const counted = count(`select count(*) from (select 1 from tombolo_change limit ${COUNT_LIMIT})`);
  // beyond that an upper bound: numbers of purged channels are among them
  const rows = counted < COUNT_LIMIT ? counted : count("select max(seq) - min(seq) + 1 from tombolo_change");
  // the mean of the newest: adding up a large log would read all of it
  const rowBytes = count(
    "select coalesce(avg(40 + length(key) + coalesce(length(old), 0) + coalesce(length(new), 0)), 0) from (select * from tombolo_change order by seq desc limit 500)",
  );
  return { rows, bytes: Math.round(rows * rowBytes) };
}

interface PeerRow {
  readonly id: bigint;
  readonly name: string;
  readonly role: "parent" | "child";
  readonly state: string;
  readonly reason: string | null;
  readonly sent_packet_no: bigint;
  readonly received_packet_no: bigint;
  readonly sent: string;
  readonly last_sync_in: string | null;
  readonly last_sync_out: string | null;
  readonly clock_offset_ms: bigint | null;
  readonly parked: bigint;
  readonly refused_changes: bigint;
  readonly open_conflicts: bigint;
}

function peers(connection: Connection): PeerStatus[] {
  const rows = connection
    .prepare(
      `select p.*, (select count(*) from tombolo_parked_change c where c.peer_id = p.id) as parked,
              (select count(*) from tombolo_conflict_history h where h.status = 'open' and h.child_node = p.name) as open_conflicts
         from tombolo_peer p order by p.name`,
    )
    .all() as PeerRow[];
  const pendingFor = pendingOf(connection, rows);
  return rows.map((row) => {
    const pending = pendingFor(row);
    return {
      name: nodeName(row.name),
      role: row.role,
      state: row.state,
      reason: row.reason,
      sentPacket: row.sent_packet_no,
      receivedPacket: row.received_packet_no,
      lastSyncIn: row.last_sync_in,
      lastSyncOut: row.last_sync_out,
      pendingChanges: pending.changes,
      oldestPendingAt: pending.oldest,
      parkedChanges: Number(row.parked),
      parked: waiting(connection, "tombolo_parked_change", row.id),
      refusedChanges: Number(row.refused_changes),
      refused: waiting(connection, "tombolo_refused_change", row.id),
      openConflicts: Number(row.open_conflicts),
      clockOffsetMs: row.clock_offset_ms === null ? null : Number(row.clock_offset_ms),
    };
  });
}

/** By what refuses them: how many there are, and the oldest. The other node's own number of a refused change is not known here. */
function waiting(connection: Connection, table: "tombolo_parked_change" | "tombolo_refused_change", peerId: bigint): WaitingChanges[] {
  const rows = connection
    .prepare(
      `select w.code, w.changes, o.* from (select code, count(*) as changes, min(id) as id from ${table} where peer_id = ? group by code) as w
         join ${table} o on o.id = w.id order by w.changes desc, w.code`,
    )
    .all(peerId) as { code: string; changes: bigint; id: bigint; table_name: string; op: string; reason: string; parked_at: string }[];
  return rows.map(({ code, changes, id, table_name, op, reason, parked_at }) => ({
    code,
    changes: Number(changes),
    oldest: { id: table === "tombolo_parked_change" ? id : null, table: tableName(table_name), op, reason, parkedAt: parked_at },
  }));
}

/** See `pendingBy`. */
function pendingOf(connection: Connection, peers: readonly PeerRow[]): (peer: PeerRow) => Pending {
  const sentBy = new Map(peers.map(({ id, sent }) => [id, JSON.parse(sent) as { [channel: string]: string }]));
  const places = new Map<string, AcknowledgedPlace>();
  const newest = connection.prepare("select coalesce(max(seq), 0) from tombolo_change").pluck().get() as bigint;
  for (const [channel, position] of [...sentBy.values()].flatMap((sent) => Object.entries(sent))) {
    const numbers = newest - BigInt(position);
    places.set(`${position} ${channel}`, { channel, position, numbers: numbers < 0n ? 0 : Number(numbers) });
  }
  const count = connection
    .prepare(
      `select origin, target, count(*), min(changed_at) from (
         select origin, target, changed_at from tombolo_change
          where seq > ? and op <> 'H'
            and table_id in (select s.id from tombolo_shape s join tombolo_captured_table c on c.table_name = s.table_name where c.channel = ?)
          limit ${countedAtPlace(places.size)})
        group by origin, target`,
    )
    .raw();
  const id = (value: bigint | null): number | null => (value === null ? null : Number(value));
  const behind = [...places.values()].flatMap(({ channel, position }) =>
    (count.all(BigInt(position), channel) as [bigint | null, bigint | null, bigint, string][]).map(
      ([origin, target, changes, oldest]): ChangesBehind => ({
        ...{ channel, position, origin: id(origin), target: id(target) },
        ...{ changes: Number(changes), oldest: microseconds(oldest) },
      }),
    ),
  );
  const pending = pendingBy(behind, [...places.values()]);
  return (peer) => pending(Number(peer.id), sentBy.get(peer.id) ?? {});
}

/** Smaller changes of a measured clock offset are its noise: an idle system writes nothing. */
const OFFSET_NOISE_MS = 25;

/** See `Installation.notePeers`. */
export async function notePeers(file: DatabaseFile, notes: readonly PeerNote[]): Promise<void> {
  const due = (connection: Connection): readonly PeerNote[] => {
    const known = prepared(connection, "select pending_changes, clock_offset_ms from tombolo_peer where name = ?").raw();
    return notes.filter(({ name, pendingChanges, clockOffsetMs }) => {
      const row = known.get(name) as [bigint, bigint | null] | undefined;
      if (row === undefined) return false;
      const [pending, offset] = row;
      const moved = clockOffsetMs !== null && (offset === null || Math.abs(Number(offset) - clockOffsetMs) > OFFSET_NOISE_MS);
      return (pendingChanges !== null && Number(pending) !== pendingChanges) || moved;
    });
  };
  if (file.read(due).length === 0) return;
  await file.write((connection) => {
    const note = connection.prepare(
      "update tombolo_peer set pending_changes = coalesce(?, pending_changes), clock_offset_ms = coalesce(?, clock_offset_ms) where name = ?",
    );
    for (const { name, pendingChanges, clockOffsetMs } of due(connection)) {
      note.run(pendingChanges, clockOffsetMs === null ? null : Math.round(clockOffsetMs), name);
    }
  });
}

/** What `doctor` shows. */
export function examine(file: DatabaseFile): readonly Finding[] {
  return file.read((connection) => {
    const findings: Finding[] = [{ severity: "ok", code: "SQLITE_VERSION", message: `SQLite ${sqliteVersion(connection)}` }];
    const mode = connection.pragma("journal_mode", { simple: true }) as string;
    if (mode === "wal") findings.push({ severity: "ok", code: "JOURNAL_MODE", message: "journal mode is wal" });
    else {
      findings.push({
        severity: "warning",
        code: "JOURNAL_MODE",
        message: `journal mode is ${mode}: readers and the writer wait for each other`,
        hint: "run `tombolo apply`, which sets it to wal",
      });
    }
    if (!isInstalled(connection)) {
      return [
        ...findings,
        {
          severity: "warning",
          code: "NODE_NOT_INSTALLED",
          message: "Tombolo is not installed in this database",
          hint: "run `tombolo apply`",
        },
      ];
    }
    for (const table of capturedTables(connection).values()) {
      if (table.state === "must_compare") {
        findings.push({
          severity: "warning",
          code: "MUST_COMPARE",
          table: table.name,
          message: table.reason ?? "",
          hint: "compare the table with its parent",
        });
      }
    }
    return findings;
  });
}

export async function setPaused(file: DatabaseFile, peer: string, paused: boolean): Promise<void> {
  const known = await file.write((connection) =>
    connection
      .prepare(
        `update tombolo_peer
            set state = case when state = 'must_resync' then state
                             when :paused then 'paused'
                             when state <> 'paused' then state
                             when received_packet_no > 0 or sent_packet_no > 0 then 'live'
                             else 'joining' end
          where name = :peer`,
      )
      .run({ peer, paused: paused ? 1 : 0 }),
  );
  if (known.changes > 0) return;
  throw new TomboloError(`the database knows no neighbour ${peer}`, {
    code: "PEER_UNKNOWN",
    kind: "operator",
    hint: "A neighbour is known once the two have been linked by `tombolo run` or `tombolo sync`.",
  });
}
