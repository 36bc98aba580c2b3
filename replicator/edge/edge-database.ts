import type { Node } from "../node/node.ts";

/** The database of an edge: opened when it is first needed, and anew when another file is in its place. */
export class EdgeDatabase {
  readonly #open: () => Promise<Node>;
  #opening: Promise<Node> | undefined;
  #opened: Node | undefined;
  /** Somebody may still be at work with one that was left. */
  readonly #left: Node[] = [];

  constructor(open: () => Promise<Node>) {
    this.#open = open;
  }

  /** Whether what was known of it is of another file; told once. */
  leave(): boolean {
    if (this.#opened?.isReplaced() !== true) return false;
    this.#left.push(this.#opened);
    [this.#opening, this.#opened] = [undefined, undefined];
    return true;
  }

  /** Throws what opening it throws; the next call tries again. */
  node(): Promise<Node> {
    this.#opening ??= this.#open().then(
      (node) => {
        this.#opened = node;
        return node;
      },
      (error: unknown) => {
        this.#opening = undefined;
        throw error;
      },
    );
    return this.#opening;
  }

  async close(): Promise<void> {
    const node = await this.#opening?.catch(() => undefined);
    await node?.close();
    for (const left of this.#left.splice(0)) await left.close();
  }
}
