import type { Change } from "../change/change.ts";
import type { TableName } from "../change/names.ts";
import type { Reference } from "../change/shape.ts";
import { parseRow, type Row } from "../change/value.ts";

/** A change as far as foreign keys are concerned: its row in the sender's terms, and what its table refers to. */
export interface Referring {
  readonly table: TableName;
  readonly row: Row;
  readonly references: readonly Reference[];
}

/** What a change writes; an update only tells the columns that changed, a delete nothing. */
export const writtenRow = ({ new: now }: Pick<Change, "new">): Row => (now === null ? {} : parseRow(now));

/**
 * The rows that some changes write, to be found by what foreign keys refer to. Values are compared as the sender wrote them, so that a number is
 * found as long as both columns write it the same way.
 */
export class ReferredRows<T> {
  readonly #targets = new Map<string, Reference>();
  readonly #rows = new Map<string, Set<T>>();

  /** `references`: all that will be asked for. */
  constructor(references: Iterable<Reference>) {
    for (const reference of references) this.#targets.set(targetOf(reference), reference);
  }

  get isEmpty(): boolean {
    return this.#rows.size === 0;
  }

  /** Whether any foreign key refers to the table. */
  concerns(table: TableName): boolean {
    return [...this.#targets.values()].some((reference) => reference.table === table);
  }

  add(table: TableName, row: Row, item: T): void {
    for (const id of this.#ids(table, row)) {
      const items = this.#rows.get(id);
      if (items === undefined) this.#rows.set(id, new Set([item]));
      else items.add(item);
    }
  }

  remove(table: TableName, row: Row, item: T): void {
    for (const id of this.#ids(table, row)) {
      const items = this.#rows.get(id);
      items?.delete(item);
      if (items?.size === 0) this.#rows.delete(id);
    }
  }

  /** What the row refers to, as far as it is here. */
  referredBy({ row, references }: Referring): readonly { readonly reference: Reference; readonly items: ReadonlySet<T> }[] {
    if (this.#rows.size === 0) return [];
    return references.flatMap((reference) => {
      const values = valuesOf(row, reference.columns);
      const items = values === null ? undefined : this.#rows.get(`${targetOf(reference)}\0${values}`);
      return items === undefined ? [] : [{ reference, items }];
    });
  }

  *#ids(table: TableName, row: Row): Generator<string> {
    for (const [id, reference] of this.#targets) {
      if (reference.table !== table) continue;
      const values = valuesOf(row, reference.to);
      if (values !== null) yield `${id}\0${values}`;
    }
  }
}

const targetOf = ({ table, to }: Reference): string => `${table}\0${to.map((column) => column.toLowerCase()).join("\0")}`;

/** Null when the row refers to nothing: a NULL among the columns, or a column that was not written. */
function valuesOf(row: Row, columns: readonly string[]): string | null {
  const values = columns.map((column) => valueIn(row, column));
  return values.some((value) => value === null || value === undefined) ? null : JSON.stringify(values);
}

/** Names of one column may differ by case alone between the engines. */
function valueIn(row: Row, column: string): Row[string] | undefined {
  if (Object.hasOwn(row, column)) return row[column];
  const name = Object.keys(row).find((candidate) => candidate.toLowerCase() === column.toLowerCase());
  return name === undefined ? undefined : row[name];
}

/** The items such that what others refer to comes before them; those in a ring in the order given. */
export function referredFirst<T>(items: readonly T[], of: (item: T) => Referring): T[] {
  const referring = new Map(items.map((item) => [item, of(item)]));
  const rows = indexed(items, referring);
  const ordered: T[] = [];
  const entered = new Set<T>();
  // no recursion: a chain may be as long as the packet
  for (const item of items) {
    const path: { readonly item: T; readonly next: Iterator<T> }[] = [];
    const enter = (one: T): void => {
      if (entered.has(one)) return;
      entered.add(one);
      path.push({ item: one, next: referredItems(rows, referring.get(one) as Referring) });
    };
    enter(item);
    for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
      const next = top.next.next();
      if (next.done === true) {
        ordered.push(top.item);
        path.pop();
      } else enter(next.value);
    }
  }
  return ordered;
}

/** Items that refer to one of `roots`, directly or through others; roots are left out. */
export function dependantsOf<T>(roots: ReadonlySet<T>, items: readonly T[], of: (item: T) => Referring): Set<T> {
  const referring = new Map([...new Set([...items, ...roots])].map((item) => [item, of(item)]));
  const rows = indexed([...referring.keys()], referring);
  const referredTo = new Map<T, T[]>();
  for (const [item, what] of referring) {
    for (const referred of referredItems(rows, what)) {
      const known = referredTo.get(referred);
      if (known === undefined) referredTo.set(referred, [item]);
      else known.push(item);
    }
  }
  const found = new Set<T>();
  const queue = [...roots];
  for (let item = queue.pop(); item !== undefined; item = queue.pop()) {
    for (const dependant of referredTo.get(item) ?? []) {
      if (found.has(dependant) || roots.has(dependant)) continue;
      found.add(dependant);
      queue.push(dependant);
    }
  }
  return found;
}

function indexed<T>(items: readonly T[], referring: ReadonlyMap<T, Referring>): ReferredRows<T> {
  const rows = new ReferredRows<T>([...referring.values()].flatMap(({ references }) => references));
  for (const item of items) {
    const { table, row } = referring.get(item) as Referring;
    rows.add(table, row, item);
  }
  return rows;
}

function* referredItems<T>(rows: ReferredRows<T>, what: Referring): Generator<T> {
  for (const { items } of rows.referredBy(what)) yield* items;
}
