import type { Part, Receipt } from "../../change/packet.ts";
import { packet } from "../../change/packet-seal.ts";
import type { TableShape } from "../../change/shape.ts";
import { type HandOver, handOverHeader } from "../full-copy.ts";
import { replaced } from "../full-copy-history.ts";
import { movedOn, runLost } from "../full-sync-runs.ts";
import type { StoredProgress } from "../progress.ts";
import type { ApplySession } from "./apply-session.ts";
import type { CapturedTable } from "./captured-tables.ts";
import { ChangeText } from "./change-text.ts";
import type { Connection } from "./connection.ts";
import { indexStage, type Pieces, piecesFor, STAGE, withStage } from "./copy-compare.ts";
import { RowsOf } from "./copy-rows.ts";
import type { StageAccess, StagedTable } from "./copy-table.ts";
import { parentsFirst, referencesOf } from "./foreign-keys.ts";
import { recordReplaced } from "./history.ts";
import { quote } from "./identifier.ts";
import { isRowError } from "./row-error.ts";
import { tableShape } from "./shape.ts";
import { suspendInsertCapture } from "./suspend.ts";

export interface StagedHandOver {
  readonly run: bigint;
  readonly tables: readonly StagedTable[];
  readonly handOver: HandOver;
}

interface Prepared {
  readonly staged: StagedTable;
  readonly pieces: Pieces;
  /** The database refused some row: each is looked at by itself. */
  readonly singly: boolean;
}

/**
 * Makes the tables what is staged. Rows that are missing go in by one statement per table; what differs, what goes, and what this node has changed itself
 * goes as changes, the way that a packet's do. Everyone else's writing to the file waits meanwhile.
 */
export async function handOverStaged(access: StageAccess, hand: StagedHandOver): Promise<Receipt> {
  const { file } = access;
  const { context } = hand.handOver;
  const { ordered, shapes } = file.read((connection) => inOrder(connection, hand.tables));
  let opened: { readonly session: ApplySession; readonly tables: readonly Prepared[] } | undefined;
  const parts = (async function* (): AsyncGenerator<Part> {
    if (opened !== undefined) yield* changes(opened.session, opened.tables);
  })();
  return withStage(access, () =>
    access.target.apply(packet({ header: handOverHeader(hand.handOver, shapes), parts }), context, (session, received) => {
      mustBeCurrent(session, { ...hand, holder: access.holder }, received);
      const tables = ordered.map((staged) => {
        const pieces = piecesFor(session.connection, staged, hand.handOver);
        if (!pieces.empty) indexStage(session.connection, staged);
        return { staged, pieces };
      });
      opened = { session, tables: tables.map((one) => ({ ...one, singly: !insertMissing(session, one.staged, one.pieces) })) };
    }),
  );
}

/** Tables before those that refer to them, with their shapes. */
export function inOrder<T extends { readonly table: CapturedTable }>(
  connection: Connection,
  tables: readonly T[],
): { readonly ordered: readonly T[]; readonly shapes: readonly TableShape[] } {
  const ordered = parentsFirst(
    connection,
    tables.map((one) => ({ local: one.table.local, one })),
  ).map(({ one }) => one);
  const captured = ordered.map(({ table }) => table);
  return {
    ordered,
    shapes: captured.map((table) =>
      tableShape(table.name, table.channel, table.columns, table.key, referencesOf(connection, table.local, captured)),
    ),
  };
}

/** Throws `FULL_SYNC_LOST` or `FULL_SYNC_MOVED`. A link that waited for the full sync goes on. */
export function mustBeCurrent(
  { connection, peer }: ApplySession,
  { run, handOver, holder }: { readonly run: bigint; readonly handOver: HandOver; readonly holder: string },
  received: StoredProgress,
): void {
  const { header } = handOver;
  const ours = connection
    .prepare("select exists (select 1 from tombolo_full_sync_run where id = ? and holder = ? and state = 'running')")
    .pluck()
    .get(run, holder);
  if (ours !== 1n) throw runLost();
  if (header.channels.some((channel) => BigInt(received[channel]?.position ?? 0) > header.upTo)) throw movedOn();
  connection
    .prepare("update tombolo_peer set state = 'live', reason = null where id = ? and state in ('snapshot', 'must_resync')")
    .run(peer.id);
}

/** False when the database refuses something: then the rows are to be looked at one by one. */
function insertMissing(session: ApplySession, { table, columns }: StagedTable, pieces: Pieces): boolean {
  const { connection } = session;
  const names = columns.map(({ name }) => quote(name)).join(", ");
  const conditions = pieces.empty ? [] : [`not exists (select 1 from main.${quote(table.local)} as t where ${pieces.keysMatch})`];
  connection.exec("savepoint missing");
  try {
    const resume = suspendInsertCapture(session, table.local);
    const { changes: count } = connection
      .prepare(
        `insert or abort into main.${quote(table.local)} (${names}) select ${names} from ${pieces.staged} where ${[...conditions, `not ${pieces.isOwn("s")}`].join(" and ")}`,
      )
      .run(...pieces.values);
    resume();
    connection.exec("release missing");
    session.outcome.applied.insert += count;
    return true;
  } catch (error) {
    if (!isRowError(error)) throw error;
    connection.exec("rollback to missing; release missing");
    return false;
  }
}

/** What is left to do after that. Which rows those are is worked out for a whole table first, as applying them changes it. */
function* changes(session: ApplySession, tables: readonly Prepared[]): Generator<Part> {
  const direction = session.context.taken === "child" ? "push" : "pull";
  for (const [index, { staged, pieces, singly }] of tables.entries()) {
    const rows = new RowsOf(session, staged);
    const text = changeText(index, rows);
    if (!pieces.empty) {
      const differing = `from ${pieces.staged} cross join ${pieces.here} where ${pieces.keysMatch} and ${pieces.differs} and not ${pieces.isOwn("t")}`;
      for (const page of rows.pages("both", differing, [...pieces.values, ...pieces.values])) {
        for (const row of page) recordReplaced(session, { ...rows.told(row), as: replaced(direction, "changed") });
        yield page.flatMap(({ key, here, staged: now }) => text.change("U", key, { old: here, new: now, changedAt: rows.at }) ?? []);
      }
    }
    const missing = `from ${pieces.staged} where not exists (select 1 from main.${quote(staged.table.local)} as t where ${pieces.keysMatch}) and not ${pieces.isOwn("s")}`;
    for (const which of [`from ${pieces.staged} where ${pieces.isOwn("s")}`, ...(singly ? [missing] : [])]) {
      for (const page of rows.pages("staged", which, pieces.values))
        yield page.flatMap(({ key, staged: now }) => text.change("I", key, { old: null, new: now, changedAt: rows.at }) ?? []);
    }
  }
  for (const [index, { staged, pieces }] of [...tables.entries()].reverse()) {
    if (pieces.empty || pieces.collected) continue;
    const rows = new RowsOf(session, staged);
    const text = changeText(index, rows);
    const gone = `from ${pieces.here} where not exists (select 1 from ${STAGE}.${staged.relation} as s where ${pieces.keysMatch}) and not ${pieces.isOwn("t")}`;
    for (const page of rows.pages("here", gone, pieces.values)) {
      for (const row of page) recordReplaced(session, { ...rows.told(row), as: replaced(direction, "gone") });
      yield page.flatMap(({ key, here }) => text.change("D", key, { old: here, new: null, changedAt: rows.at }) ?? []);
    }
  }
}

const changeText = (index: number, { table, columns }: RowsOf): ChangeText =>
  new ChangeText({ table: index, shape: { ...table, columns, table: table.name }, now: columns, wholeImages: false });
