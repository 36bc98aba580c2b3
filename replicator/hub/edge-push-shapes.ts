import { TomboloError } from "../change/error.ts";
import type { TableShape } from "../change/shape.ts";

/**
 * What an edge says of its tables must be about the hub's: the same tables, and of each every column once, the key among them. That the columns exist here and travel is found
 * where they are staged. Throws `SHAPES_DIFFER` (operator).
 */
export function mustFit(theirs: readonly TableShape[], ours: readonly TableShape[]): void {
  const named = new Set(theirs.map(({ table }) => table));
  const missing = ours.find(({ table }) => !named.has(table));
  if (named.size !== theirs.length || theirs.length !== ours.length || missing !== undefined)
    throw differ(`the edge does not bring the tables that it began with`);
  for (const shape of theirs) {
    const here = ours.find(({ table }) => table === shape.table);
    const fold = (name: string): string => (shape.engine === "sqlite" || here?.engine === "sqlite" ? name.toLowerCase() : name);
    const columns = new Set(shape.columns.map(({ name }) => fold(name)));
    const lacking = here?.key.find((name) => !columns.has(fold(name)));
    if (columns.size !== shape.columns.length || lacking !== undefined)
      throw differ(`the edge's columns of ${shape.table} are not those of the hub: the key must be among them, and each once`);
  }
}

const differ = (message: string): TomboloError =>
  new TomboloError(message, {
    code: "SHAPES_DIFFER",
    kind: "operator",
    hint: "let both sides run with the same topology and the same tables",
  });
