import type { Node } from "../node/node.ts";
import type { Logger } from "../observability/log.ts";
import type { TopologyNode } from "../topology/topology.ts";

interface Entry {
  readonly fingerprint: string;
  /** See `NodePool.lifeOf`. */
  readonly life: number;
  readonly opening: Promise<Node>;
  node: Node | null;
}

export interface NodePoolOptions {
  readonly open: (config: TopologyNode) => Promise<Node>;
  readonly onOpened: (node: Node) => void;
}

/** The open nodes of a process: each is opened once and shared by its links. Who needs a node that failed to open tries again. */
export class NodePool {
  readonly #options: NodePoolOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #failures = new Map<string, unknown>();
  /** How often the file of each was another one. */
  readonly #lives = new Map<string, number>();

  constructor(options: NodePoolOptions) {
    this.#options = options;
  }

  /** Opens the node unless it is open; concurrent callers share one attempt. Throws what opening it threw. */
  async get(config: TopologyNode): Promise<Node> {
    const known = this.#entries.get(config.name);
    if (known !== undefined) return known.opening;
    const entry: Entry = {
      fingerprint: fingerprint(config),
      life: this.lifeOf(config.name),
      opening: this.#options.open(config),
      node: null,
    };
    this.#entries.set(config.name, entry);
    try {
      entry.node = await entry.opening;
    } catch (error) {
      this.#failures.set(config.name, error);
      this.#entries.delete(config.name);
      throw error;
    }
    this.#failures.delete(config.name);
    this.#options.onOpened(entry.node);
    return entry.node;
  }

  /** The node if it is open now. */
  current(name: string): Node | null {
    return this.#entries.get(name)?.node ?? null;
  }

  /** Why the last attempt to open it failed; undefined when it is open or was never tried. */
  failure(name: string): unknown {
    return this.#failures.get(name);
  }

  /** Whether others were put in the place of files of open nodes since it was last looked; tells which. `keep` closes them, once nobody uses them any more. */
  lookForReplaced(log: Logger): boolean {
    let any = false;
    for (const [name, { node, life }] of this.#entries) {
      if (node?.isReplaced() !== true || life < this.lifeOf(name)) continue;
      this.#lives.set(name, life + 1);
      log.warn({ node: name, code: "DATABASE_REPLACED" }, "another file is in the place of the node's; it is opened");
      any = true;
    }
    return any;
  }

  /** Another number for each file that takes the place of the node's: what was made for the one does not serve the other. */
  lifeOf(name: string): number {
    return this.#lives.get(name) ?? 0;
  }

  /** Closes the nodes that are configured otherwise now, or not at all, or whose file is another one. Nobody may use them any more. */
  async keep(configs: readonly TopologyNode[]): Promise<void> {
    const wanted = new Map(configs.map((config) => [config.name as string, fingerprint(config)]));
    const leaving = [...this.#entries].filter(([name, entry]) => wanted.get(name) !== entry.fingerprint || entry.life < this.lifeOf(name));
    for (const name of this.#failures.keys()) if (!wanted.has(name)) this.#failures.delete(name);
    await Promise.all(leaving.map(([name]) => this.#close(name)));
  }

  async closeAll(): Promise<void> {
    await Promise.all([...this.#entries.keys()].map((name) => this.#close(name)));
  }

  async #close(name: string): Promise<void> {
    const entry = this.#entries.get(name);
    this.#entries.delete(name);
    const node = await entry?.opening.catch(() => null);
    await node?.close();
  }
}

/** Asked every two seconds of every node. */
const fingerprints = new WeakMap<TopologyNode, string>();

function fingerprint(config: TopologyNode): string {
  const known = fingerprints.get(config) ?? JSON.stringify(config);
  fingerprints.set(config, known);
  return known;
}
