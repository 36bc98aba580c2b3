import type { Position } from "../change/names.ts";
import type { Node } from "../node/node.ts";

/**
 * A position in a node's log that holds all that is visible now. Not the log's own tick: where a slot fills the log this process would have to read the slot for that,
 * and `tombolo run` does, beside which a person begins a full sync.
 */
export async function positionNow({ copies }: { readonly copies: Pick<Node["copies"], "open"> }): Promise<Position> {
  const snapshot = await copies.open([]);
  await snapshot.close();
  return snapshot.tick.position;
}
