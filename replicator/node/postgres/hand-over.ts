import type { Column } from "../../change/shape.ts";
import { applyKnowing } from "./apply-knowing.ts";
import type { ApplySession } from "./apply-session.ts";
import { textArray } from "./array-literal.ts";
import { inSavepoint } from "./attempt.ts";
import type { CapturedTable } from "./captured-tables.ts";
import { typed } from "./column-sql.ts";
import type { ConstraintReader, Constraints, SharedNothing } from "./constraints.ts";
import { mustNotDangle } from "./dangling.ts";
import { takeBackDeleted } from "./deleted-here.ts";
import { type ChangeSet, changeSets, parameters } from "./fast-path.ts";
import { valueIn } from "./image.ts";
import type { IncomingChange } from "./incoming.ts";
import { type HandOver, keyArrays, notPossible, putBack } from "./put-back.ts";
import { columnNamed, deleteStep, insertStep, type Step, settleStep, together, updateStep } from "./set-statements.ts";

/** Values that no application uses, for columns that take no NULL. Where a rule refuses them, rows are taken out and put back instead. */
const STAND_INS: { readonly [base: string]: string } = {
  text: "'tombolo:' || gen_random_uuid()",
  varchar: "left(replace(gen_random_uuid()::text, '-', ''), 16)",
  uuid: "gen_random_uuid()",
  int8: "-(random() * 9e18)::bigint",
  int4: "-(random() * 2e9)::integer",
};

/** A set and what its rows hold for a while in the columns that must differ between rows. */
interface Aside {
  readonly set: ChangeSet;
  readonly standIns: ReadonlyMap<string, string>;
}

/**
 * Changes that hand unique values around (in a circle: none can go first), or rows that refer to one another in a ring. All of them
 * at once: first everything but the values that they contend for, in one statement, so that foreign keys are checked when all is done; then these
 * values. Where stand-ins are not possible, the rows are taken out and put back within one statement.
 *
 * Answers the changes whose rows were not what they were based on; null, with nothing done, when the database refuses both ways.
 */
export async function handOver(
  session: ApplySession,
  changes: readonly IncomingChange[],
  constraints: ConstraintReader,
): Promise<IncomingChange[] | null> {
  const sets = changeSets(changes);
  for (const way of [standAside, putBack]) {
    let unfit: IncomingChange[] = [];
    const error = await inSavepoint(session, async () => {
      const careful = await carefulDeletes(session, sets, constraints);
      const referredTo: IncomingChange[] = [];
      unfit = await way(session, {
        sets: sets.filter((set) => !careful.includes(set)),
        constraints,
        async deletes() {
          for (const set of careful) referredTo.push(...(await applyKnowing(session, set, set.changes)));
        },
      });
      unfit.push(...referredTo);
      for (const set of sets) await mustNotDangle(session, set.table, { columns: set.columns, rows: set.changes });
    });
    if (error !== null) continue;
    const missed = new Set(unfit);
    for (const set of sets) {
      const done = set.changes.filter((incoming) => !missed.has(incoming));
      session.outcome.count(set.op, done.length);
      unfit.push(...(await takeBackDeleted(session, set, done)));
    }
    return unfit;
  }
  return null;
}

/** Deletes that have to look first who refers to their rows; they cannot be part of a larger statement. */
async function carefulDeletes(session: ApplySession, sets: readonly ChangeSet[], constraints: ConstraintReader): Promise<ChangeSet[]> {
  const careful: ChangeSet[] = [];
  for (const set of sets) {
    if (set.op === "D" && (session.quiet || (await constraints.of(set.table.table)).deleteActs)) careful.push(set);
  }
  return careful;
}

async function standAside(session: ApplySession, { sets, constraints, deletes }: HandOver): Promise<IncomingChange[]> {
  const asides: Aside[] = [];
  for (const set of sets) asides.push({ set, standIns: standInsFor(set, await constraints.of(set.table.table)) });
  const unfit = await allAtOnce(session, asides);
  await deletes();
  for (const { set, standIns } of asides) {
    const names = [...standIns.keys()];
    const fit = set.changes.filter((incoming) => !unfit.has(incoming));
    if (names.length > 0 && fit.length > 0) await settle(session, set.table.table, names, fit);
  }
  return [...unfit];
}

async function allAtOnce(session: ApplySession, asides: readonly Aside[]): Promise<Set<IncomingChange>> {
  const steps: Step[] = [];
  const values: string[] = [];
  if (asides.length === 0) return new Set();
  for (const { set, standIns } of asides) {
    const place = { prefix: `s${steps.length}_`, after: values.length };
    const { table } = set.table;
    const columns = set.columns.map((name) => columnNamed(table, name));
    if (set.op === "I") steps.push(insertStep(table, columns, place, { standIns }));
    else if (set.op === "U") steps.push(updateStep(table, columns, place, standIns));
    else steps.push(deleteStep(table, place));
    values.push(...parameters(set, set.changes));
  }
  const { rows } = await session.client.query({ text: together(steps), values, rowMode: "array" });
  return new Set(
    (rows as [string, string][]).map(([step, ordinal]) => asides[Number(step)]?.set.changes[Number(ordinal) - 1] as IncomingChange),
  );
}

async function settle(
  session: ApplySession,
  table: CapturedTable,
  names: readonly string[],
  changes: readonly IncomingChange[],
): Promise<void> {
  const columns = names.map((name) => columnNamed(table, name));
  await session.client.query(`with ${settleStep(table, columns, { prefix: "", after: 0 }).ctes} select`, [
    ...keyArrays(table, changes),
    ...names.map((name) => textArray(changes.map(({ images }) => valueIn(images.new, name)))),
  ]);
}

/** Throws, as the database would, where a rule that the set touches has no column that could hold a stand-in. */
function standInsFor(set: ChangeSet, { shared, generated }: Constraints): Map<string, string> {
  const { table } = set.table;
  const contended = set.op === "D" ? [] : shared.filter((rule) => !isKey(rule, table));
  const standIns = new Map<string, string>();
  for (const name of set.columns.filter((column) => !table.key.includes(column))) {
    const rules = contended.filter(({ columns }) => columns.includes(name));
    const standIn = rules.length === 0 ? null : standInFor(columnNamed(table, name), rules);
    if (standIn !== null) standIns.set(name, standIn);
  }
  const touched = contended.filter(({ columns }) => columns.some((name) => set.columns.includes(name) || name in generated));
  if (touched.some(({ columns }) => !columns.some((name) => standIns.has(name)))) throw notPossible();
  return standIns;
}

/** The key tells rows apart, and no change of a row changes it. */
const isKey = ({ predicate, columns, terms }: SharedNothing, { key }: CapturedTable): boolean =>
  predicate === null && columns.length === key.length && columns.every((name) => key.includes(name)) && terms.length === key.length;

function standInFor(column: Column, rules: readonly SharedNothing[]): string | null {
  if (!column.notNull && !rules.some(({ nullsEqual }) => nullsEqual)) return "null";
  const value = STAND_INS[column.base ?? column.type];
  return value === undefined ? null : typed(`(${value})`, column);
}
