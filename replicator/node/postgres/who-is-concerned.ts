import type { Position, TableName } from "../../change/names.ts";
import type { RowFilter } from "../../change/row-filter.ts";
import type { NewsOf } from "../change-log.ts";
import type { Touched } from "./touched.ts";

/** Who waits for what is logged of some tables, or for some rows of them. */
export interface Waiting {
  /** Nothing is for it up to there. */
  readonly after: Position;
  readonly of: NewsOf;
}

/** Readers who can be left waiting stand at so many positions, at most; the others are told. */
const MOST_PLACES = 8;

/** A table's filters of one text, each with those who are given its rows. */
interface Question {
  readonly touched: Touched;
  readonly table: TableName;
  readonly asked: Map<string, { readonly filter: RowFilter; readonly waiting: Set<Waiting> }>;
}

/**
 * Which of those who wait have to do with something that was logged between their places and `upTo`. A thousand are not to be woken by what concerns one of
 * them, or none: the log is asked once for all who stand at the same place, and once for each filter whatever its parameters.
 */
export async function concerned<W extends Waiting>(
  waiting: readonly W[],
  upTo: Position,
  touchedBetween: (after: Position, upTo: Position) => Promise<Touched | null>,
): Promise<ReadonlySet<W>> {
  const told = new Set<W>();
  const places = new Map<Position, Touched | null>();
  const questions = new Map<string, Question>();
  for (const one of waiting) {
    const { after, of } = one;
    if (!places.has(after) && places.size < MOST_PLACES) places.set(after, await touchedBetween(after, upTo));
    const touched = places.get(after) ?? null;
    const tables = [...(touched?.tables ?? [])].filter((table) => of.tables.has(table));
    if (touched === null || touched.readers.has(of.reader) || tables.some((table) => of.filters?.get(table) === undefined)) told.add(one);
    else for (const table of tables) ask(questions, { touched, table, one });
  }
  for (const { touched, table, asked } of questions.values()) {
    const forms = [...asked.values()];
    const chosen = await touched.concerned(
      table,
      forms.map(({ filter }) => filter),
    );
    for (const { filter, waiting: own } of forms) if (chosen === null || chosen.has(filter)) for (const one of own) told.add(one as W);
  }
  return told;
}

function ask(questions: Map<string, Question>, { touched, table, one }: { touched: Touched; table: TableName; one: Waiting }): void {
  const filter = one.of.filters?.get(table);
  if (filter === undefined) return;
  const key = JSON.stringify([one.after.toString(), table, filter.text]);
  const question = questions.get(key) ?? { touched, table, asked: new Map() };
  questions.set(key, question);
  const params = JSON.stringify(filter.params);
  const form = question.asked.get(params) ?? { filter, waiting: new Set() };
  question.asked.set(params, form);
  form.waiting.add(one);
}
