import { type ApplySession, prepared } from "./apply-session.ts";
import { textArray } from "./array-literal.ts";
import type { CapturedTable } from "./captured-tables.ts";
import { sameImage, typed } from "./column-sql.ts";
import type { ConstraintReader } from "./constraints.ts";
import { type ChangeSet, parameters } from "./fast-path.ts";
import { ident } from "./identifier.ts";
import { valueIn } from "./image.ts";
import type { IncomingChange, TextRow } from "./incoming.ts";
import { columnNamed, deleteStep, insertStep, type Step, together } from "./set-statements.ts";

/** What is handed over. */
export interface HandOver {
  readonly sets: readonly ChangeSet[];
  readonly constraints: ConstraintReader;
  /** The deletes that are not among the sets; to be done before values are taken that their rows hold. */
  deletes(): Promise<void>;
}

/** Like the error that brought us here: the changes stay refused. */
export const notPossible = (): Error => Object.assign(new Error("the unique values cannot be handed around"), { code: "23505" });

export const keyArrays = (table: CapturedTable, changes: readonly IncomingChange[]): string[] =>
  table.key.map((name) => textArray(changes.map(({ images }) => valueIn(images.key ?? images.new, name))));

/**
 * Takes all rows out that updates and deletes are about, and puts those of the updates back as they are to be, with the inserts, in one statement:
 * a foreign key that does nothing on delete looks when it is done. Not where a delete sets something off. Answers the changes that did
 * not fit.
 */
export async function putBack(session: ApplySession, { sets, constraints, deletes }: HandOver): Promise<IncomingChange[]> {
  const steps: Step[] = [];
  const values: string[] = [];
  const changes: (readonly IncomingChange[])[] = [];
  const unfit: IncomingChange[] = [];
  const add = (
    own: readonly IncomingChange[],
    parameters: readonly string[],
    step: (place: { prefix: string; after: number }) => Step,
  ): string => {
    const prefix = `s${steps.length}_`;
    steps.push(step({ prefix, after: values.length }));
    values.push(...parameters);
    changes.push(own);
    return prefix;
  };
  const out: string[] = [];
  const back: (() => void)[] = [];
  for (const set of sets) {
    const { table } = set.table;
    if (set.op === "I") {
      const columns = set.columns.map((name) => columnNamed(table, name));
      back.push(() => add(set.changes, parameters(set, set.changes), (place) => insertStep(table, columns, place, { behind: out })));
    } else if (set.op === "D") {
      out.push(add(set.changes, parameters(set, set.changes), (place) => deleteStep(table, place)));
    } else {
      const rules = await constraints.of(table);
      if (rules.deleteActs && !session.quiet) throw notPossible();
      const rows = await rowsOf(session, set);
      const fit = set.changes.filter((_, index) => rows.has(index));
      unfit.push(...set.changes.filter((_, index) => !rows.has(index)));
      const merged = set.changes.flatMap((incoming, index) => {
        const row = rows.get(index);
        return row === undefined ? [] : [{ ...row, ...incoming.new }];
      });
      out.push(add(fit, keyArrays(table, fit), (place) => takeOut(table, place)));
      const all = rules.stored.map(({ name }) => textArray(merged.map((row) => row[name] ?? null)));
      back.push(() => add(fit, all, (place) => insertStep(table, rules.stored, place, { behind: out })));
    }
  }
  for (const put of back) put();
  await deletes();
  if (steps.length === 0) return unfit;
  const { rows } = await session.client.query({ text: together(steps), values, rowMode: "array" });
  for (const [step, ordinal] of rows as [string, string][]) unfit.push(changes[Number(step)]?.[Number(ordinal) - 1] as IncomingChange);
  return unfit;
}

function takeOut(table: CapturedTable, { prefix, after }: { prefix: string; after: number }): Step {
  const keys = table.key.map((name, index) => `${typed(`a${index}`, columnNamed(table, name))} as k${index}`);
  const names = table.key.map((_, index) => `a${index}`);
  const matches = table.key.map((name, index) => `t.${ident(name)} = x.k${index}`);
  return {
    ctes: `${prefix}x as materialized (select ord, ${keys.join(", ")}
        from unnest(${names.map((_, index) => `$${after + index + 1}::text[]`).join(", ")}) with ordinality as u(${names.join(", ")}, ord)),
    ${prefix}done as (delete from ${table.sql} as t using ${prefix}x as x where ${matches.join(" and ")} returning x.ord)`,
    missed: `select x.ord from ${prefix}x as x where not exists (select from ${prefix}done as done where done.ord = x.ord)`,
    parameters: names.length,
  };
}

/** The rows that the updates of a set were based on, whole, locked; by the place of the update. */
async function rowsOf(session: ApplySession, set: ChangeSet): Promise<Map<number, TextRow>> {
  const { table } = set.table;
  const columns = set.columns.map((name) => columnNamed(table, name));
  const keys = table.key.map((name) => columnNamed(table, name));
  const inputs = [...keys, ...columns];
  const names = inputs.map((_, index) => `a${index}`);
  const same = columns.map((column, index) => sameImage(column, `x.v${keys.length + index}`));
  const rows = await prepared(
    session.client,
    `with x as materialized (select ord, ${inputs.map((column, index) => `${typed(`a${index}`, column)} as v${index}`).join(", ")}
        from unnest(${names.map((_, index) => `$${index + 1}::text[]`).join(", ")}) with ordinality as u(${names.join(", ")}, ord))
     select x.ord, ${session.hstore}.hstore_to_json(${session.hstore}.hstore(t))::text from ${table.sql} as t join x
         on ${[...keys.map((key, index) => `t.${ident(key.name)} = x.v${index}`), ...same].join(" and ")}
      order by x.ord for update of t`,
    [...keyArrays(table, set.changes), ...columns.map(({ name }) => textArray(set.changes.map(({ images }) => valueIn(images.old, name))))],
  );
  return new Map(rows.map(([ordinal, text]) => [Number(ordinal) - 1, JSON.parse(text as string) as TextRow]));
}
