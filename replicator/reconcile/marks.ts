import type { TableName } from "../change/names.ts";
import type { Node } from "../node/node.ts";
import type { TableReport } from "./reconcile-link.ts";

/** The name of a comparison that nobody asked for. */
export const AUTOMATIC = "automatic";

export const LOOK_EVERY_MS = 30_000;
/** What was found different, or could not be compared, is looked at again after this. */
export const AGAIN_MS = 3_600_000;

/** A table of a node that must be compared, and why. */
export interface Mark {
  readonly table: TableName;
  readonly reason: string | null;
}

export async function marksOf({ installation }: Pick<Node, "installation">): Promise<readonly Mark[]> {
  const { tables } = await installation.status();
  return tables.flatMap(({ table, state, reason }) => (state === "must_compare" ? [{ table, reason }] : []));
}

/** Those that are as they were installed again: until then, more may be missed. */
export async function wholeAgain({ installation }: Pick<Node, "installation">, marks: readonly Mark[]): Promise<readonly Mark[]> {
  if (marks.length === 0) return [];
  const drifted = new Set((await installation.verify()).map(({ table }) => table));
  return marks.filter(({ table }) => !drifted.has(table));
}

/** All rows were compared, and those that differed are equal now. */
export const isWhole = ({ isPartial, ...found }: TableReport): boolean => !isPartial && isEqual(found);

/** What was compared is equal now. */
export const isEqual = ({
  error,
  differing,
  repaired,
  unsettled,
}: Pick<TableReport, "differing" | "repaired" | "unsettled"> & { readonly error: unknown }): boolean =>
  error === null && differing === repaired && unsettled === 0;
