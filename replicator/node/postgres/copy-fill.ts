import type { TableName } from "../../change/names.ts";
import type { Part } from "../../change/packet.ts";
import { packet } from "../../change/packet-seal.ts";
import { type CopiedTable, type Fill, type Filled, type Filler, handOverHeader, type TableDifference } from "../full-copy.ts";
import type { ApplySession } from "./apply-session.ts";
import { type CapturedTable, inReferenceOrder } from "./captured-tables.ts";
import { ownKeys } from "./copy-compare.ts";
import { mustBeOurs, mustFollow, silenced } from "./copy-hand-over.ts";
import { columnsHere, copyInto, formFor } from "./copy-into.ts";
import type { StageAccess } from "./copy-table.ts";
import { anyDangles } from "./dangling.ts";
import { lockWhole } from "./referred-locks.ts";
import { isRowError } from "./row-error.ts";

/** The tables are empty: nobody does much with them yet. Half a minute is also what an interruption costs at most. */
const MOST = { bytes: 1 << 30, ms: 30_000 };

const SETTINGS = ["idle_in_transaction_session_timeout = 0"];

interface FilledTable {
  readonly copied: CopiedTable;
  readonly table: CapturedTable;
}

export const filler = (access: StageAccess): Filler => ({
  most: MOST,
  areEmpty: (tables) => areEmpty(access, tables),
  fill: (fill) => fillTables(access, fill),
});

/**
 * Copies into tables that are empty, in the transaction that hands over. Nobody sees a row before all are there, and nothing is left of what is broken off. Rows that the
 * source sends go in as they come: it costs what COPY costs.
 */
async function fillTables(access: StageAccess, fill: Fill): Promise<Filled> {
  if (fill.handOver.within.size > 0) return "unsuited";
  const named = await access.tables.named(fill.tables.map(({ shape }) => shape.table));
  const filled = fill.tables.map((copied, at): FilledTable => ({ copied, table: named[at] as CapturedTable }));
  const ordered = inReferenceOrder(filled.map((one) => ({ ...one.table, one }))).map(({ one }) => one);
  const header = handOverHeader(
    fill.handOver,
    ordered.map(({ table }) => table.shape),
  );
  let why: "declined" | "unsuited" | undefined;
  const undo = (reason: "declined" | "unsuited"): Error => {
    why = reason;
    return new Error(reason);
  };
  // the database refuses a row: then each is to be looked at by itself, which needs them staged
  const refused = (error: unknown): unknown => (isRowError(error) ? undo("unsuited") : error);
  try {
    return await access.target.apply(packet({ header, parts: none() }), fill.handOver.context, {
      settings: SETTINGS,
      work: async (session, received) => {
        await mustFollow(session, fill.handOver, received);
        await lockWhole(
          session.client,
          ordered.map(({ table }) => table),
        );
        // what a slot has yet to log is among what was committed until now
        await access.gate.complete();
        for (const { table } of ordered) if (!(await isUntouched(session, table, fill, access.hstore))) throw undo("unsuited");
        const differences: TableDifference[] = [];
        const logs: string[] = [];
        for (const { table } of ordered) logs.push(await silenced(session, table));
        try {
          await session.client.query("set constraints all deferred");
          for (const one of ordered) {
            const added = await copyTable(session, one, fill);
            differences.push({ table: one.table.name, added, changed: 0, removed: 0, kept: 0 });
          }
          await session.client.query("set constraints all immediate");
        } catch (error) {
          throw refused(error);
        }
        for (const { table, copied } of ordered) {
          const columns = columnsHere(copied, table).map(({ name }) => name);
          if (await anyDangles(session, table, { columns, rows: `select * from ${table.sql}` })) throw undo("unsuited");
        }
        // not while a foreign key has yet to be looked at: the server would refuse
        for (const log of logs) await session.client.query(log);
        if (!(await fill.agreed(differences))) throw undo("declined");
        // only now: from here on whoever says that the run lives waits for the commit
        await mustBeOurs(session, fill.run, access.holder);
      },
    });
  } catch (error) {
    if (why !== undefined) return why;
    throw error;
  }
}

/** No row, and none that this node has changed and the source has not seen. */
async function isUntouched({ client }: ApplySession, table: CapturedTable, { handOver }: Fill, hstore: string): Promise<boolean> {
  const { rows } = await client.query<{ touched: string }>(
    `${ownKeys(table, { hstore, handOver })} select exists (select from ${table.sql}) or exists (select from own) as touched`,
  );
  return rows[0]?.touched === "f";
}

/** Answers how many rows came. */
async function copyTable(session: ApplySession, { table, copied }: FilledTable, { source, onBytes }: Fill): Promise<number> {
  const columns = columnsHere(copied, table);
  const form = formFor(copied, columns);
  const told = async function* (): AsyncGenerator<Buffer> {
    for await (const piece of source.all(copied, form)) {
      onBytes(piece.length);
      yield piece;
    }
  };
  const { rows } = await copyInto(session.client, { copied, table }, { relation: table.sql, columns, rows: told(), form });
  session.outcome.count("I", rows);
  session.outcome.inserted.add(table);
  return rows;
}

async function* none(): AsyncGenerator<Part> {}

async function areEmpty({ pool, tables }: Pick<StageAccess, "pool" | "tables">, names: readonly TableName[]): Promise<boolean> {
  const any = (await tables.named(names)).map(({ sql }) => `exists (select from ${sql})`);
  const { rows } = await pool.query<{ any: string }>(`select ${any.join(" or ")} as any`);
  return rows[0]?.any === "f";
}
