import { TomboloError } from "../../change/error.ts";
import type { TableName } from "../../change/names.ts";
import type { Reference } from "../../change/shape.ts";
import { dependantsOf, ReferredRows, type Referring, writtenRow } from "../references.ts";
import type { ApplySession } from "./apply-session.ts";
import { type Refused, refersToParked } from "./attempt.ts";
import { danglingChanges } from "./dangling.ts";
import { referencesOf } from "./foreign-keys.ts";
import type { IncomingChange } from "./incoming.ts";
import { foreignKeyReason } from "./refusal.ts";

/**
 * Applies changes of which some may be refused; answers those, and with them what refers to them. What SQLite would find at the commit is
 * found here, where it can still be told which change is to blame; and what refers to a refused row by foreign keys that only the child's
 * database has is kept back, as others would be given it without what it refers to. Then all is undone, and done again without these.
 */
export function withoutDependants(
  session: ApplySession,
  changes: readonly IncomingChange[],
  /** Tables with foreign keys that are checked at the commit. */
  deferred: ReadonlySet<TableName>,
  apply: (changes: readonly IncomingChange[]) => readonly Refused[],
): readonly Refused[] {
  const looksLater = changes.some(({ table }) => deferred.has(table.name));
  if (!looksLater && (session.context.from !== "child" || !referWithin(changes))) return apply(changes);
  const out: Refused[] = [];
  for (let left = changes; left.length > 0; ) {
    const restore = session.outcome.checkpoint();
    session.connection.exec("savepoint part");
    const refused = apply(left);
    const gone = new Set(refused.map(({ incoming }) => incoming));
    const rest = left.filter((incoming) => !gone.has(incoming));
    const more = [
      ...dangling(
        session,
        rest.filter(({ table }) => deferred.has(table.name)),
      ),
      ...(session.context.from === "child" ? referringTo(gone, rest) : []),
    ];
    // what hangs on these in turn is found now, and not one by one
    const all = new Map([...refused, ...more, ...referringToRefused(session, more, rest)].map((one) => [one.incoming, one]));
    out.push(...all.values());
    if (more.length === 0) {
      session.connection.exec("release part");
      break;
    }
    session.connection.exec("rollback to part");
    session.connection.exec("release part");
    restore();
    session.mark.changedAt = null;
    left = left.filter((incoming) => !all.has(incoming));
  }
  return out;
}

/** Whether rows are inserted that others of the changes may refer to, by their sender's foreign keys. */
function referWithin(changes: readonly IncomingChange[]): boolean {
  const inserted = new Set<TableName>();
  const tables = new Set<IncomingChange["table"]>();
  for (const { change, table } of changes) {
    if (change.op === "I") inserted.add(table.name);
    tables.add(table);
  }
  return [...tables].some(({ shape }) => shape.references?.some(({ table }) => inserted.has(table)) ?? false);
}

function dangling(session: ApplySession, changes: readonly IncomingChange[]): Refused[] {
  return [...danglingChanges(session.connection, changes)].map((incoming) => {
    const reason = foreignKeyReason(session.connection, incoming, session.captured);
    return { incoming, error: new TomboloError(reason, { code: "FOREIGN_KEY_VIOLATION", kind: "operator" }) };
  });
}

function referringTo(refused: ReadonlySet<IncomingChange>, changes: readonly IncomingChange[]): Refused[] {
  const roots = new Set([...refused].filter(({ change }) => change.op === "I"));
  if (roots.size === 0) return [];
  const found = dependantsOf(roots, changes, ({ change, table }) => ({
    table: table.name,
    row: writtenRow(change),
    references: table.shape.references ?? [],
  }));
  return [...found].map((incoming) => ({ incoming, error: refersToParked(incoming.table) }));
}

const known = new WeakMap<ApplySession, Map<string, readonly Reference[]>>();

/** A change as this database's foreign keys see it. */
export function referring(session: ApplySession, { change, table }: IncomingChange): Referring {
  const tables = known.get(session) ?? new Map<string, readonly Reference[]>();
  known.set(session, tables);
  const { local } = table.table;
  const references = tables.get(local) ?? referencesOf(session.connection, local, session.captured.values());
  tables.set(local, references);
  return { table: table.name, row: writtenRow(change), references };
}

/** The rows that these changes would insert, to be found by what refers to them here. */
export function insertedRows(session: ApplySession, changes: readonly IncomingChange[]): ReferredRows<IncomingChange> {
  const rows = new ReferredRows<IncomingChange>(changes.flatMap((incoming) => referring(session, incoming).references));
  for (const incoming of changes) if (incoming.change.op === "I") rows.add(incoming.table.name, writtenRow(incoming.change), incoming);
  return rows;
}

/** Changes that hang, by this database's foreign keys, on an insert that was refused. */
export function referringToRefused(session: ApplySession, refused: readonly Refused[], changes: readonly IncomingChange[]): Refused[] {
  const roots = new Set(refused.map(({ incoming }) => incoming).filter(({ change }) => change.op === "I"));
  if (roots.size === 0) return [];
  const found = dependantsOf(roots, changes, (incoming) => referring(session, incoming));
  return [...found].map((incoming) => ({ incoming, error: refersToParked(incoming.table) }));
}
