import type { Node } from "../node/node.ts";
import { AGAIN_MS, LOOK_EVERY_MS, type Mark, marksOf, wholeAgain } from "../reconcile/marks.ts";

/** Tables of an edge that must be compared with the hub's, because changes of them may have been missed: as `MarkedTables` sees to those that a hub reaches itself. */
export class EdgeMarks {
  #lookedAt = Number.NEGATIVE_INFINITY;
  readonly #seenTo = new Map<string, number>();

  /** Those that are due; of the database alone, and nothing within half a minute of the last look. `now`: milliseconds, of a clock that only goes forward. */
  async due(node: Pick<Node, "installation">, now: number): Promise<readonly Mark[]> {
    if (now - this.#lookedAt < LOOK_EVERY_MS) return [];
    this.#lookedAt = now;
    const marks = await wholeAgain(node, await marksOf(node));
    return marks.filter((mark) => now - (this.#seenTo.get(idOf(mark)) ?? Number.NEGATIVE_INFINITY) >= AGAIN_MS);
  }

  seenTo(marks: readonly Mark[], now: number): void {
    for (const mark of marks) this.#seenTo.set(idOf(mark), now);
  }
}

const idOf = ({ table, reason }: Mark): string => JSON.stringify([table, reason]);
