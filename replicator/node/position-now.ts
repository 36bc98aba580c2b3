import type { Position } from "../change/names.ts";
import type { Node } from "./node.ts";

/**
 * A position in a node's log that holds all that is visible now, for a command that goes on beside `tombolo run`. Where a slot fills the log, its own tick would want
 * the slot, which `run` reads.
 */
export async function positionNow({ copies }: { readonly copies: Pick<Node["copies"], "open"> }): Promise<Position> {
  const snapshot = await copies.open([]);
  await snapshot.close();
  return snapshot.tick.position;
}
