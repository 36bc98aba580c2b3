import { Releases, rowId } from "../releases.ts";
import { type Obstacle, standoff } from "../standoff.ts";
import type { ApplySession } from "./apply-session.ts";
import type { Refused } from "./attempt.ts";
import { referringToRefused } from "./dependants.ts";
import { inTheWay } from "./in-the-way.ts";
import { asRow, type IncomingChange } from "./incoming.ts";
import { keyImage } from "./rows.ts";

/** Those of the refused changes that only stand in each other's way; a bystander in the way of one, or a row that nobody brings, leaves it out. */
export function deadlocked(session: ApplySession, refused: readonly Refused[]): IncomingChange[] {
  const changes = refused.map(({ incoming }) => incoming).filter(({ change }) => change.op !== "R");
  if (changes.length < 2) return [];
  const releases = new Releases({
    changes,
    byRow: rowsOf(session, changes),
    written: (incoming) => (incoming.new === null ? null : { table: incoming.table.name, row: asRow(incoming.new) }),
  });
  const obstacles = new Map<IncomingChange, Obstacle<IncomingChange>[]>();
  const hanging = new Set(referringToRefused(session, refused, changes).map(({ incoming }) => incoming));
  const look = (incoming: IncomingChange): void => {
    const { key, table } = incoming;
    const row = incoming.change.op === "D" ? null : incoming.new;
    const found = inTheWay(session.connection, { table: table.table, key, row }, session.captured);
    // what cannot be named may be anything
    const named = found.map((one): Obstacle<IncomingChange> => ({ releases: releases.of(one) }));
    obstacles.set(incoming, named.length === 0 ? [{ releases: [] }] : named);
  };
  for (const incoming of changes) if (!hanging.has(incoming)) look(incoming);
  // what hangs on a row that has no chance need not be looked at
  const lost = refused.filter(({ incoming }) => obstacles.get(incoming)?.some((one) => one.releases.length === 0));
  const without = new Set(referringToRefused(session, lost, changes).map(({ incoming }) => incoming));
  for (const incoming of hanging) if (!without.has(incoming)) look(incoming);
  return [...standoff(obstacles)];
}

/** Where they are, by what the log calls their key. */
function rowsOf({ connection }: ApplySession, changes: readonly IncomingChange[]): Map<string, IncomingChange> {
  const rows = new Map<string, IncomingChange>();
  for (const incoming of changes) {
    const { table, name } = incoming.table;
    if (incoming.change.op !== "I") rows.set(rowId(name, keyImage(connection, table, incoming.key)), incoming);
  }
  return rows;
}
