import { digestOf } from "../change/row-digest.ts";
import type { FoundRow, KeyText } from "../node/digest.ts";
import type { ComparedLink } from "./compared-link.ts";
import type { ComparedTable } from "./compared-tables.ts";
import type { Opened } from "./cuts.ts";

/** A row as it is on both sides at their cuts. */
export interface CheckedRow {
  readonly key: KeyText;
  readonly parent: FoundRow | null;
  readonly child: FoundRow | null;
  readonly isSame: boolean;
}

/** Looks at rows one by one. Where their texts differ, a Postgres says whether they mean the same: `007` of a SQLite is its 7. */
export async function checkRows(
  ends: ComparedLink,
  table: ComparedTable,
  { opened, index, keys }: { readonly opened: Opened; readonly index: number; readonly keys: readonly KeyText[] },
): Promise<readonly CheckedRow[]> {
  const [above, below] = await Promise.all([opened.parent.rows(index, keys), opened.child.rows(index, keys)]);
  const rows = keys.map((key, at) => ({ key, parent: above[at] ?? null, child: below[at] ?? null }));
  const unequal = rows.filter((row) => !sameTexts(row) && row.parent?.texts != null && row.child?.texts != null);
  const alike = await meanTheSame(ends, table, unequal);
  return rows.map((row) => ({ ...row, isSame: sameTexts(row) || alike.has(row.key) }));
}

type Sides = Omit<CheckedRow, "isSame">;

/** A key that is no Unicode (bytes of a SQLite text) cannot be asked for; no Postgres has it, and so it differs for as long as it is found. */
const UNASKABLE = /\p{Surrogate}/u;

function sameTexts({ key, parent, child }: Sides): boolean {
  if (parent === null || child === null) return parent === child && !UNASKABLE.test(JSON.parse(key).join(""));
  if (parent.texts === null || child.texts === null) return false;
  return parent.texts.every((text, at) => text === child.texts?.[at]);
}

async function meanTheSame(
  { parent, child }: ComparedLink,
  { pair }: ComparedTable,
  rows: readonly Sides[],
): Promise<ReadonlySet<KeyText>> {
  if (rows.length === 0) return new Set();
  const texts = (side: "parent" | "child"): readonly (readonly (string | null)[])[] => rows.map((row) => row[side]?.texts ?? []);
  const digests = (side: "parent" | "child"): string[] => texts(side).map((row) => digestOf(row));
  const [atParent, atChild] = await Promise.all([
    parent.digests.normalised(pair.parent, texts("child")),
    child.digests.normalised(pair.child, texts("parent")),
  ]);
  const [above, below] = [digests("parent"), digests("child")];
  return new Set(rows.filter((_, at) => atParent[at] === above[at] || atChild[at] === below[at]).map(({ key }) => key));
}
