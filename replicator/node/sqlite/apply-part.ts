import type { Change } from "../../change/change.ts";
import { TomboloError } from "../../change/error.ts";
import type { Part } from "../../change/packet.ts";
import { type ApplySession, blockedBy } from "./apply-session.ts";
import { type Refused, waitsForParked } from "./attempt.ts";
import { applyEach, type Tools } from "./care.ts";
import { withoutDependants } from "./dependants.ts";
import type { IncomingChange, IncomingTable } from "./incoming.ts";
import { type Arrived, applyLate } from "./late.ts";
import { park } from "./parked.ts";
import { applyTruncate } from "./truncate.ts";

/** What a packet is applied with. */
export interface PartTables extends Tools {
  /** By index in the packet. */
  readonly tables: readonly IncomingTable[];
}

/**
 * Applies one part of a packet: first rows that have a parked change, each as the net of that and the new one; then the others. What is refused is
 * parked with what refers to it.
 */
export function applyPart(session: ApplySession, tables: PartTables, part: Part): void {
  let group: Change[] = [];
  for (const change of part) {
    if (change.op !== "T") {
      group.push(change);
      continue;
    }
    applyGroup(session, tables, group);
    group = [];
    applyTruncate(session, tables.tables[change.table] as IncomingTable, change);
  }
  applyGroup(session, tables, group);
}

function applyGroup(session: ApplySession, tables: PartTables, changes: readonly Change[]): void {
  const late: Arrived[] = [];
  const arrived: Arrived[] = [];
  for (const change of changes) {
    const table = tables.tables[change.table] as IncomingTable;
    const isLate = session.blocked.size > 0 && session.blocked.has(blockedBy(table.name, change.key));
    (isLate ? late : arrived).push({ table, change });
  }
  if (late.length > 0) applyLate(session, late, tables);
  const group: IncomingChange[] = [];
  for (const { table, change } of arrived) {
    try {
      const incoming = table.incoming(change);
      const waits = waitsForParked(session, incoming);
      if (waits !== null) park(session, { table, change, incoming, error: waits });
      else if (session.judgedMeanwhile.isUnclear(incoming)) session.outcome.wanted.push({ table: table.name, key: change.key });
      // nothing is left of an update of columns that stay at home here
      else if (change.op !== "U" || incoming.new?.set.names.length !== 0) group.push(incoming);
    } catch (error) {
      if (!(error instanceof TomboloError)) throw error;
      park(session, { table, change, incoming: null, error });
    }
  }
  for (const { incoming, error } of applyAll(session, group, tables)) {
    park(session, { table: incoming.table, change: incoming.change, incoming, error });
  }
}

/** Answers what is refused after all. */
export const applyAll = (session: ApplySession, changes: readonly IncomingChange[], tools: Tools): readonly Refused[] =>
  changes.length === 0 ? [] : withoutDependants(session, changes, tools.deferred, (left) => applyEach(session, left, tools));
