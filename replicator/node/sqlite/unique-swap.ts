import { randomInt, randomUUID } from "node:crypto";
import type { ApplySession } from "./apply-session.ts";
import { inSavepoint } from "./attempt.ts";
import { quote } from "./identifier.ts";
import type { ColumnSet, IncomingChange, LocalRow } from "./incoming.ts";
import { type Bindable, keyCondition, prepared } from "./rows.ts";
import { readTable } from "./shape.ts";

/**
 * Updates that exchange values of a unique column: each is refused while the other row still has the value, and SQLite checks after every
 * row. So they first take values that nobody has. Their statements found the rows as they were based on: it was the unique key that
 * refused. All or none; answers those that went through.
 */
export function applySwap(session: ApplySession, changes: readonly IncomingChange[]): Set<IncomingChange> {
  const failed = inSavepoint(session, () => {
    for (const incoming of changes) set(session, incoming, (row) => placeholders(session, incoming, row));
    for (const incoming of changes) {
      set(session, incoming, (row) => row);
      session.outcome.count("U");
    }
  });
  return new Set(failed === null ? changes : []);
}

interface Values {
  readonly set: Pick<ColumnSet, "names">;
  readonly values: readonly Bindable[];
}

function set(session: ApplySession, incoming: IncomingChange, values: (row: LocalRow) => Values): void {
  const { table } = incoming.table;
  const { set: columns, values: bound } = values(incoming.new as LocalRow);
  if (columns.names.length === 0) return;
  const assignments = columns.names.map((name) => `${quote(name)} = ?`).join(", ");
  prepared(session.connection, `update or abort ${quote(table.local)} set ${assignments} where ${keyCondition(table)}`).run(
    ...bound,
    ...incoming.key,
  );
}

/** NULL where the column takes it, otherwise something of the same storage class that no row has. */
function placeholders(session: ApplySession, incoming: IncomingChange, row: LocalRow): Values {
  const { table } = incoming.table;
  const uniques = readTable(session.connection, table.local)?.uniques ?? [];
  const unique = new Set(
    uniques.flatMap(({ terms, text }) => (text === null ? terms.flatMap(({ column }) => column ?? []) : row.set.names)),
  );
  const names = row.set.names.filter((name) => unique.has(name) && !table.key.includes(name));
  const values = names.map((name) => {
    if (table.columns.find((column) => column.name === name)?.notNull !== true) return null;
    const value = row.values[row.set.names.indexOf(name)] ?? null;
    return typeof value === "string" ? `tombolo-${randomUUID()}` : BigInt(-randomInt(2 ** 47));
  });
  return { set: { names }, values };
}
