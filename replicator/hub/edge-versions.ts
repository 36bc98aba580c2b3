import type { NodeName } from "../change/names.ts";
import type { Caller } from "./caller.ts";

const PRODUCT = /^tombolo\/([\w.+-]{1,50})$/;

/** Which version each edge runs, as its requests say; of those that have come to this process. For people to look at: nothing follows from it. */
export class EdgeVersions {
  readonly #known = new Map<NodeName, string>();

  /** Of a caller whose token is good: so there are no more entries than edges. */
  note(caller: Caller | null, userAgent: string | undefined): void {
    const version = PRODUCT.exec(userAgent ?? "")?.[1];
    if (version !== undefined && caller !== null && caller.node !== null) this.#known.set(caller.node, version);
  }

  /** Null where the edge has not come, or does not say. */
  of(node: NodeName): string | null {
    return this.#known.get(node) ?? null;
  }
}
