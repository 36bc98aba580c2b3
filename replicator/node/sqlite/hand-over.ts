import { randomBytes, randomInt, randomUUID } from "node:crypto";
import type { ApplySession } from "./apply-session.ts";
import { inSavepoint } from "./attempt.ts";
import { type Constraints, readConstraints } from "./constraints.ts";
import { danglingChanges } from "./dangling.ts";
import { quote } from "./identifier.ts";
import type { IncomingChange } from "./incoming.ts";
import { putBack } from "./put-back.ts";
import { type Bindable, prepared } from "./rows.ts";
import { deleteOld, insertNew, keyValues, notPossible, type RulesOf, updateOld } from "./whole-change.ts";

/**
 * Changes that hand unique values around (in a circle: none can go first, and SQLite looks after every row), or rows that refer to one another
 * in a ring. All or none: first everything, with stand-ins for the values that they contend for, then these values; where stand-ins are not
 * possible, the rows are taken out and put back. Foreign keys are looked at in the end. Deletes come last in `changes`.
 */
export function handOver(session: ApplySession, changes: readonly IncomingChange[]): boolean {
  const { connection } = session;
  const known = new Map<string, Constraints>();
  const rulesOf: RulesOf = ({ table }) => {
    const rules = known.get(table.local) ?? readConstraints(connection, table.local);
    if (rules === null) throw notPossible();
    known.set(table.local, rules);
    return rules;
  };
  return [standAside, putBack].some((way) => {
    const error = inSavepoint(session, () => {
      connection.pragma("defer_foreign_keys = on");
      way(session, changes, rulesOf);
      if (danglingChanges(connection, changes).size > 0) throw notPossible();
      for (const { change } of changes) session.outcome.count(change.op);
    });
    // whatever it counted has been looked at, or undone
    connection.pragma("defer_foreign_keys = off");
    return error === null;
  });
}

function standAside(session: ApplySession, changes: readonly IncomingChange[], rulesOf: RulesOf): void {
  const aside: { readonly incoming: IncomingChange; readonly names: readonly string[] }[] = [];
  for (const incoming of changes) {
    if (incoming.change.op === "D") {
      deleteOld(session, incoming);
      continue;
    }
    const standIns = standInsFor(incoming, rulesOf(incoming.table));
    if (incoming.change.op === "I") insertNew(session, incoming, standIns);
    else updateOld(session, incoming, standIns);
    aside.push({ incoming, names: [...standIns.keys()] });
  }
  for (const { incoming, names } of aside) {
    if (names.length === 0) continue;
    const { local } = incoming.table.table;
    const { condition, values } = keyValues(incoming);
    const now = names.map((name) => incoming.new?.values[incoming.new.set.names.indexOf(name)] ?? null);
    prepared(
      session.connection,
      `update or abort ${quote(local)} set ${names.map((name) => `${quote(name)} = ?`).join(", ")} where ${condition}`,
    ).run(...now, ...values);
  }
}

/** Throws, as the database would, where a rule that the change touches has no column that could hold a stand-in. */
function standInsFor({ new: row, table: { table } }: IncomingChange, { shared, table: local }: Constraints): Map<string, Bindable> {
  const names = row?.set.names ?? [];
  const contended = shared.filter(({ columns, partial }) => partial || !columns.every((name) => table.key.includes(name)));
  const standIns = new Map<string, Bindable>();
  for (const [at, name] of names.entries()) {
    if (table.key.includes(name) || !contended.some(({ columns }) => columns.includes(name))) continue;
    const nullable = local.columns.find((column) => column.name === name)?.notNull !== true;
    standIns.set(name, nullable ? null : standInFor(row?.values[at] ?? null));
  }
  const touched = contended.filter(({ columns }) => columns.some((name) => names.includes(name) || local.generated.includes(name)));
  if (touched.some(({ columns }) => !columns.some((name) => standIns.has(name)))) throw notPossible();
  return standIns;
}

/** Something of the same storage class that no row has. */
function standInFor(value: Bindable): Bindable {
  if (typeof value === "string") return `tombolo-${randomUUID()}`;
  if (typeof value === "number") return -randomInt(2 ** 47) - 0.5;
  return Buffer.isBuffer(value) ? randomBytes(16) : BigInt(-randomInt(2 ** 47));
}
