import type { TableName } from "../../change/names.ts";
import type { Part } from "../../change/packet.ts";
import { packet } from "../../change/packet-seal.ts";
import { type CopiedTable, type Fill, type Filled, type Filler, handOverHeader, type TableDifference } from "../full-copy.ts";
import type { ApplySession } from "./apply-session.ts";
import { type CapturedTable, capturedTable } from "./captured-tables.ts";
import type { Connection, DatabaseFile } from "./connection.ts";
import { ownChanges } from "./copy-compare.ts";
import { inOrder, mustBeCurrent } from "./copy-hand-over.ts";
import { columnsHere, insertRows } from "./copy-into.ts";
import type { StageAccess } from "./copy-table.ts";
import { hasDeferredKeys } from "./dangling.ts";
import { quote } from "./identifier.ts";
import { isRowError } from "./row-error.ts";
import { suspendInsertCapture } from "./suspend.ts";

interface FilledTable {
  readonly copied: CopiedTable;
  readonly table: CapturedTable;
}

/** Whoever writes to any table of the file waits. */
const MOST = { bytes: 256 << 20, ms: 10_000 };

export const filler = (access: StageAccess): Filler => ({
  most: MOST,
  areEmpty: async (tables) => areEmpty(access.file, tables),
  fill: (fill) => fillTables(access, fill),
});

/**
 * Writes rows into tables that are empty as they arrive, in the transaction that hands over. Nobody sees one before all are there, and nothing is left of what is
 * broken off.
 */
async function fillTables({ file, target, holder }: StageAccess, fill: Fill): Promise<Filled> {
  const { handOver } = fill;
  if (handOver.within.size > 0) return "unsuited";
  const { ordered, shapes } = file.read((connection) =>
    inOrder(
      connection,
      fill.tables.map((copied): FilledTable => ({ copied, table: capturedTable(connection, copied.shape.table, file.node) })),
    ),
  );
  let why: "declined" | "unsuited" | undefined;
  const undo = (reason: "declined" | "unsuited"): Error => {
    why = reason;
    return new Error(reason);
  };
  let opened: ApplySession | undefined;
  const parts = (async function* (): AsyncGenerator<Part> {
    const differences: TableDifference[] = [];
    for (const one of opened === undefined ? [] : ordered) {
      const added = await copyTable(opened as ApplySession, one, fill).catch((error: unknown) => {
        throw isRowError(error) ? undo("unsuited") : error;
      });
      differences.push({ table: one.table.name, added, changed: 0, removed: 0, kept: 0 });
    }
    if (opened !== undefined && !(await fill.agreed(differences))) throw undo("declined");
  })();
  try {
    return await target.apply(packet({ header: handOverHeader(handOver, shapes), parts }), handOver.context, (session, received) => {
      mustBeCurrent(session, { ...fill, holder }, received);
      if (!ordered.every(({ table }) => isUntouched(session.connection, table, fill))) throw undo("unsuited");
      opened = session;
    });
  } catch (error) {
    if (why !== undefined) return why;
    throw error;
  }
}

/** No row, none that this node has changed and the source has not seen, and no foreign key that only the commit would find violated. */
function isUntouched(connection: Connection, table: CapturedTable, { handOver }: Fill): boolean {
  const own = ownChanges(connection, table, handOver);
  const touched = connection
    .prepare(`select exists (select 1 from main.${quote(table.local)}) or exists (select 1 ${own.sql})`)
    .pluck()
    .get(...own.values);
  return touched === 0n && !hasDeferredKeys(connection, table.local);
}

/** Answers how many rows came. */
async function copyTable(session: ApplySession, { table, copied }: FilledTable, { source, onBytes }: Fill): Promise<number> {
  const { connection } = session;
  const { columns } = columnsHere(connection, copied, table);
  const told = async function* (): AsyncGenerator<Buffer> {
    for await (const piece of source.all(copied, "text")) {
      onBytes(piece.length);
      yield piece;
    }
  };
  const resume = suspendInsertCapture(session, table.local);
  const names = columns.map(({ name }) => quote(name)).join(", ");
  const { rows } = await insertRows(connection, copied, {
    into: `insert or abort into main.${quote(table.local)} (${names})`,
    row: `(${columns.map(() => "?").join(", ")})`,
    columns,
    rows: told(),
  });
  resume();
  session.outcome.applied.insert += rows;
  return rows;
}

function areEmpty(file: DatabaseFile, names: readonly TableName[]): boolean {
  return file.read((connection) =>
    names.every((name) => {
      const { local } = capturedTable(connection, name, file.node);
      return (
        connection
          .prepare(`select not exists (select 1 from ${quote(local)})`)
          .pluck()
          .get() === 1n
      );
    }),
  );
}
