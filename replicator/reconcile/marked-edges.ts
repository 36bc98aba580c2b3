import { elapsedMs } from "../change/elapsed.ts";
import type { NodeName, TableName } from "../change/names.ts";
import { hubOf } from "../lifecycle/tree.ts";
import type { Node } from "../node/node.ts";
import type { ReconcileRun } from "../node/reconcile-desk.ts";
import { edgesOf, isOpen } from "../operations/ask-reconcile.ts";
import type { Topology } from "../topology/topology.ts";
import { decidingGroups } from "./deciding.ts";
import { AGAIN_MS, AUTOMATIC, isEqual } from "./marks.ts";

export interface MarkedEdgesOptions {
  readonly topology: Topology;
  readonly node: (name: NodeName) => Promise<Node>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** Records that are looked through for an edge's. */
const MOST_RUNS = 10_000;

interface Asked {
  readonly run: bigint;
  readonly atMs: number;
}

/**
 * Tables of a root that must be compared, where its children are edges: each is asked to compare itself when it comes, and what they make of it is remembered until
 * all have found the table equal. One that has not exchanged anything yet has nothing that could differ.
 */
export class MarkedEdges {
  readonly #options: MarkedEdgesOptions;
  readonly #asked = new Map<string, Map<NodeName, Asked>>();

  constructor(options: MarkedEdgesOptions) {
    this.#options = options;
  }

  /** Whether every edge below has compared the table since it was first asked about it here, and found it equal. Asks those that have not been asked, or not for an hour. */
  async areEqual(id: string, { node, table }: { readonly node: Node; readonly table: TableName }): Promise<boolean> {
    const edges = await this.#below(node, table);
    if (edges.length === 0) return true;
    const asked = this.#asked.get(id) ?? new Map<NodeName, Asked>();
    this.#asked.set(id, asked);
    const runs = await node.reconciles.runs({ name: AUTOMATIC, limit: MOST_RUNS });
    let equal = true;
    for (const edge of edges) {
      const last = asked.get(edge);
      // in SQLite, the run that takes a wish up may have its number
      const since = last === undefined ? [] : runs.filter(({ id: run, peer }) => peer === edge && run >= last.run);
      if (since.some((run) => isEqualIn(run, table))) continue;
      equal = false;
      const waits = since.some(isOpen);
      const now = this.#options.now();
      if (last !== undefined && (waits || elapsedMs(last.atMs, now) < AGAIN_MS)) continue;
      asked.set(edge, { run: await node.reconciles.request({ name: AUTOMATIC, peer: edge, repair: "report" }), atMs: now });
    }
    return equal;
  }

  /** What was asked about other marks is of no use any more. */
  keep(ids: ReadonlySet<string>): void {
    for (const id of this.#asked.keys()) if (!ids.has(id)) this.#asked.delete(id);
  }

  async #below(node: Node, table: TableName): Promise<readonly NodeName[]> {
    const { topology } = this.#options;
    const groups = new Set(decidingGroups(topology, node.name, table));
    if (groups.size === 0) return [];
    const { tokens } = await this.#options.node(hubOf(topology).name);
    const met = new Set((await node.installation.status()).peers.map(({ name }) => name));
    return (await edgesOf(topology, tokens)).filter(({ edge, group }) => groups.has(group) && met.has(edge)).map(({ edge }) => edge);
  }
}

const isEqualIn = ({ tables }: ReconcileRun, name: TableName): boolean =>
  tables.some((found) => found.table === name && found.scope === "all" && isEqual(found));
