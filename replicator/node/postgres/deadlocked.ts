import type { TableName } from "../../change/names.ts";
import { Releases, rowId } from "../releases.ts";
import { type Obstacle, standoff } from "../standoff.ts";
import type { ApplySession } from "./apply-session.ts";
import { inSavepoint, type Refused } from "./attempt.ts";
import type { CapturedTable } from "./captured-tables.ts";
import type { ConstraintReader } from "./constraints.ts";
import { referringToRefused } from "./dependants.ts";
import { type InTheWay, inTheWay } from "./in-the-way.ts";
import type { IncomingChange } from "./incoming.ts";
import { keyText } from "./rows.ts";

/** Those of the refused changes that only stand in each other's way; a bystander in the way of one, or a row that nobody brings, leaves it out. */
export async function deadlocked(
  session: ApplySession,
  refused: readonly Refused[],
  constraints: ConstraintReader,
): Promise<IncomingChange[]> {
  const changes = refused.map(({ incoming }) => incoming).filter(({ change }) => change.op !== "R");
  if (changes.length < 2) return [];
  const releases = new Releases({
    changes,
    byRow: await rowsOf(session, changes),
    written: (incoming) => ({ table: incoming.table.table.name, row: incoming.new ?? {} }),
  });
  const tables = new Map(changes.map(({ table }) => [table.table.name, table.table]));
  const obstacles = new Map<IncomingChange, Obstacle<IncomingChange>[]>();
  const hanging = new Set(referringToRefused(refused, changes).map(({ incoming }) => incoming));
  const look = async (incoming: IncomingChange): Promise<void> => {
    const found = await obstaclesOf(session, incoming, constraints, tables);
    // what cannot be named may be anything
    const named = found.map((one): Obstacle<IncomingChange> => ({ releases: releases.of(one) }));
    obstacles.set(incoming, named.length === 0 ? [{ releases: [] }] : named);
  };
  for (const incoming of changes) if (!hanging.has(incoming)) await look(incoming);
  // what hangs on a row that has no chance need not be looked at
  const lost = refused.filter(({ incoming }) => obstacles.get(incoming)?.some((one) => one.releases.length === 0));
  const without = new Set(referringToRefused(lost, changes).map(({ incoming }) => incoming));
  for (const incoming of hanging) if (!without.has(incoming)) await look(incoming);
  return [...standoff(obstacles)];
}

/** Where they are, by what the log calls their key. */
async function rowsOf(session: ApplySession, changes: readonly IncomingChange[]): Promise<Map<string, IncomingChange>> {
  const rows = new Map<string, IncomingChange>();
  for (const incoming of changes) {
    const { table } = incoming.table;
    if (incoming.change.op !== "I") rows.set(rowId(table.name, await keyText(session, table, incoming.key)), incoming);
  }
  return rows;
}

async function obstaclesOf(
  session: ApplySession,
  incoming: IncomingChange,
  constraints: ConstraintReader,
  tables: ReadonlyMap<TableName, CapturedTable>,
): Promise<InTheWay[]> {
  let found: InTheWay[] = [];
  await inSavepoint(session, async () => {
    const { key, table } = incoming;
    const row = incoming.change.op === "D" ? null : incoming.new;
    found = await inTheWay(session, { table: table.table, key, row }, constraints, tables);
  });
  return found;
}
