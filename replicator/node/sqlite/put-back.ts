import type { ApplySession } from "./apply-session.ts";
import { isOld, oldParameters } from "./fast-path.ts";
import { quote } from "./identifier.ts";
import type { IncomingChange } from "./incoming.ts";
import { type Bindable, keyCondition, prepared } from "./rows.ts";
import { deleteOld, insertNew, notPossible, type RulesOf } from "./whole-change.ts";

/** A row with all its columns; texts as their bytes, which need not be valid. */
interface TakenOut {
  readonly names: readonly string[];
  readonly texts: readonly boolean[];
  readonly values: readonly Bindable[];
}

/**
 * Takes all rows out that updates and deletes are about, and puts those of the updates back as they are to be, with the inserts. Not where a
 * delete sets something off. All or none.
 */
export function putBack(session: ApplySession, changes: readonly IncomingChange[], rulesOf: RulesOf): void {
  const out = new Map<IncomingChange, TakenOut>();
  for (const incoming of changes) {
    if (incoming.change.op !== "U") continue;
    const rules = rulesOf(incoming.table);
    if (rules.deleteActs) throw notPossible();
    out.set(
      incoming,
      takeOut(
        session,
        incoming,
        rules.table.columns.map(({ name }) => name),
      ),
    );
  }
  for (const incoming of changes) if (incoming.change.op === "D") deleteOld(session, incoming);
  for (const incoming of changes) {
    const row = out.get(incoming);
    if (row !== undefined) insertTakenOut(session, incoming, row);
    else if (incoming.change.op === "I") insertNew(session, incoming);
  }
}

function takeOut(session: ApplySession, incoming: IncomingChange, names: readonly string[]): TakenOut {
  const { table, old, key } = incoming;
  if (old === null) throw notPossible();
  const local = quote(table.table.local);
  const columns = names.map(
    (name) => `typeof(${quote(name)}) = 'text', iif(typeof(${quote(name)}) = 'text', cast(${quote(name)} as blob), ${quote(name)})`,
  );
  const condition = `${keyCondition(table.table)} and ${isOld(old.set)}`;
  const found = prepared(session.connection, `select ${columns.join(", ")} from ${local} where ${condition}`)
    .raw()
    .get(...key, ...oldParameters(old.set, old.values)) as Bindable[] | undefined;
  if (found === undefined) throw notPossible();
  prepared(session.connection, `delete from ${local} where ${keyCondition(table.table)}`).run(...key);
  return { names, texts: names.map((_, at) => found[2 * at] === 1n), values: names.map((_, at) => found[2 * at + 1] ?? null) };
}

function insertTakenOut(session: ApplySession, { table, new: row }: IncomingChange, out: TakenOut): void {
  const written = new Map(row?.set.names.map((name, at) => [name, row.values[at] ?? null]));
  const places = out.names.map((name, at) => (!written.has(name) && out.texts[at] === true ? "cast(? as text)" : "?"));
  const values = out.names.map((name, at) => (written.has(name) ? (written.get(name) ?? null) : (out.values[at] ?? null)));
  prepared(
    session.connection,
    `insert or abort into ${quote(table.table.local)} (${out.names.map(quote).join(", ")}) values (${places.join(", ")})`,
  ).run(...values);
}
