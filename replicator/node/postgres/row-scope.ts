import { columnsOf } from "../../change/filter-text.ts";
import type { RowFilter } from "../../change/row-filter.ts";
import type { Column } from "../../change/shape.ts";
import type { Verdict } from "../../change/verdict.ts";
import { outOfScope } from "../out-of-scope.ts";
import { type ApplySession, prepared, type RowScope } from "./apply-session.ts";
import { textArray } from "./array-literal.ts";
import type { CapturedTable } from "./captured-tables.ts";
import { type Image, valueIn } from "./image.ts";
import type { IncomingChange, TextRow } from "./incoming.ts";
import { isRowError } from "./row-error.ts";
import { rowIsIn, Values } from "./row-filter.ts";
import { scopesOf } from "./scopes.ts";

const EVERYTHING: RowScope = {
  split: async (changes) => ({ inside: changes, others: [] }),
  known: async (_, row) => row,
  judge: async (_, clash, judge) => judge(clash),
};

/** What the peer may write. A parent's packets are obeyed, whatever they bring. `limited`: scopes are kept for the peer. */
export async function rowScope(session: Pick<ApplySession, "client" | "peer" | "context">, limited: boolean): Promise<RowScope> {
  if (session.context.from !== "child" || !limited) return EVERYTHING;
  const filters = new Map<string, RowFilter[]>();
  for (const { table, filter } of await scopesOf(session.client, session.peer.id)) {
    if (filter !== null) filters.set(table, [...(filters.get(table) ?? []), filter]);
  }
  return filters.size === 0 ? EVERYTHING : limitedTo(session.client, filters);
}

function limitedTo(client: ApplySession["client"], filters: ReadonlyMap<string, readonly RowFilter[]>): RowScope {
  const admits = async (table: CapturedTable, row: TextRow): Promise<boolean> => {
    const own = filters.get(table.name);
    return own === undefined || (await outsiders(client, table, own, [(name) => row[name] ?? null])).length === 0;
  };
  return {
    async split(changes) {
      const others = new Set<IncomingChange>();
      for (const table of new Set(changes.map((incoming) => incoming.table.table))) {
        const own = filters.get(table.name);
        if (own === undefined) continue;
        const mine = changes.filter((incoming) => incoming.table.table === table);
        for (const incoming of await notPlainlyInside(client, table, own, mine)) others.add(incoming);
      }
      return { inside: changes.filter((incoming) => !others.has(incoming)), others: [...others] };
    },
    async known(table, row) {
      return row !== null && (await admits(table, row)) ? row : null;
    },
    async judge(table, clash, judge) {
      const parent = clash.parent as TextRow | null;
      if (parent !== null && !(await admits(table, parent))) return outOfScope(clash);
      const checked = async (verdict: Verdict): Promise<Verdict> => {
        const { result, ifRefused } = verdict;
        if (result !== null && !(await admits(table, { ...parent, ...result } as TextRow))) return outOfScope(clash);
        return ifRefused === undefined ? verdict : { ...verdict, ifRefused: { ...ifRefused, verdict: await checked(ifRefused.verdict) } };
      };
      return checked(await judge(clash));
    },
  };
}

/**
 * The changes whose images do not show that the row lies inside, before and after: they are outside, or lack what the filters look at. The rest may be
 * applied to a row that is what it is told to have been.
 */
async function notPlainlyInside(
  client: ApplySession["client"],
  table: CapturedTable,
  filters: readonly RowFilter[],
  changes: readonly IncomingChange[],
): Promise<readonly IncomingChange[]> {
  const used = usedBy(filters, table);
  const others = new Set<IncomingChange>();
  const images: Image[] = [];
  const owners: IncomingChange[] = [];
  for (const incoming of changes) {
    const { op } = incoming.change;
    const needed = [...(op === "I" ? [] : [incoming.images.old]), ...(op === "D" ? [] : [incoming.images.new])];
    for (const image of needed) {
      if (image === null || !used.every(({ name }) => image.layout.places.has(name))) others.add(incoming);
      else {
        images.push(image);
        owners.push(incoming);
      }
    }
  }
  await client.query("savepoint scope");
  try {
    const rows = images.map((image) => (name: string) => valueIn(image, name));
    for (const ordinal of await outsiders(client, table, filters, rows)) others.add(owners[ordinal] as IncomingChange);
  } catch (error) {
    if (!isRowError(error)) throw error;
    // a value that its column does not take: one by one it is found which
    await client.query("rollback to savepoint scope");
    for (const incoming of changes) others.add(incoming);
  }
  await client.query("release savepoint scope");
  return [...others];
}

const usedBy = (filters: readonly RowFilter[], table: CapturedTable): Column[] => [
  ...new Set(filters.flatMap(({ text }) => columnsOf(text, "postgres", table.columns))),
];

/** The places of the rows that one of the filters does not have. */
async function outsiders(
  client: ApplySession["client"],
  table: CapturedTable,
  filters: readonly RowFilter[],
  rows: readonly ((name: string) => string | null)[],
): Promise<number[]> {
  if (rows.length === 0) return [];
  const used = usedBy(filters, table);
  // without any column there is still a row for each
  const first = table.columns[0] as Column;
  const sent = used.length === 0 ? [first] : used;
  const values = new Values(sent.map(({ name }) => textArray(rows.map((row) => row(name)))));
  const arrays = sent.map((_, at) => `$${at + 1}::text[]`).join(", ");
  const names = sent.map((_, at) => `a${at}`).join(", ");
  const text = (column: Column): string => `u.a${sent.indexOf(column)}`;
  const inside = filters.map((filter) => rowIsIn(table, filter, { text, values })).join(" and ");
  const sql = `select u.ord from unnest(${arrays}) with ordinality as u(${names}, ord) where not (${inside})`;
  const found = await prepared(client, sql, values.all);
  return found.map(([ordinal]) => Number(ordinal) - 1);
}
