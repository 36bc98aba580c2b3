import { elapsedMs } from "../change/elapsed.ts";
import type { TokenDesk } from "../node/token-desk.ts";
import type { Topology } from "../topology/topology.ts";

export interface EdgeGroupsOptions {
  readonly topology: () => Topology;
  /** Of the topology's hub; null while it is not open. */
  readonly tokens: () => TokenDesk | null;
  readonly now: () => number;
}

/** The tokens are asked for names that are new at most this often. */
const ASK_EVERY_MS = 60_000;
/** The newest so many are asked for. */
const MOST_TOKENS = 10_000;

/** Which group each edge is of: nodes know their edges by name only. */
export class EdgeGroups {
  readonly #options: EdgeGroupsOptions;
  readonly #known = new Map<string, string>();
  #askedAt = Number.NEGATIVE_INFINITY;

  constructor(options: EdgeGroupsOptions) {
    this.#options = options;
  }

  /** Of these children those that are edges. One whose tokens have all been removed has no group. */
  async of(children: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const { groups, nodes } = this.#options.topology();
    if (groups.length === 0) return new Map();
    const named = new Set<string>(nodes.map(({ name }) => name));
    const edges = children.filter((name) => !named.has(name));
    if (edges.some((name) => !this.#known.has(name))) await this.#ask();
    return new Map(edges.flatMap((name) => (this.#known.has(name) ? [[name, this.#known.get(name) as string] as const] : [])));
  }

  async #ask(): Promise<void> {
    const { tokens, now } = this.#options;
    const desk = tokens();
    if (desk === null || elapsedMs(this.#askedAt, now()) < ASK_EVERY_MS) return;
    this.#askedAt = now();
    const all = await desk.list({ role: "node", limit: MOST_TOKENS });
    // the newest comes first, and counts
    for (const { node, group } of [...all].reverse()) if (node !== null && group !== null) this.#known.set(node, group);
  }
}
