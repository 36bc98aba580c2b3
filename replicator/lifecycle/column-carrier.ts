import type { NodeName } from "../change/names.ts";
import type { WantedTable } from "../node/installation.ts";
import type { Node } from "../node/node.ts";
import type { PresentColumn } from "../node/table-columns.ts";
import { describeError } from "../observability/describe-error.ts";
import type { Logger } from "../observability/log.ts";
import type { Topology, TopologyLink } from "../topology/topology.ts";
import type { Service } from "./service.ts";
import type { Timers } from "./timers.ts";
import { leavesFirst, linkName, nodeOf, wantedTables } from "./tree.ts";

const EVERY_MS = 5_000;

export interface ColumnCarrierOptions {
  readonly log: Logger;
  /** Told of what fails. */
  readonly onError?: (error: unknown) => void;
  readonly timers: Timers;
  readonly topology: () => Topology;
  /** Those that this process replicates. */
  readonly links: () => readonly TopologyLink[];
  /** The node if it is open. */
  readonly node: (name: NodeName) => Node | null;
}

type Columns = ReadonlyMap<string, { readonly wanted: WantedTable; readonly present: readonly PresentColumn[] | null }>;

/**
 * `ddl: add_columns`: what a parent's table has and its child's does not is added there, from the hub downwards, and both are captured anew. Changes that
 * were made meanwhile have waited for it. Whether anything is to be captured anew shows in the nodes, not in what was just done: a process that dies
 * between the two leaves that to the next look. Where the child has columns of its own as well, somebody may have renamed one, and a person has to look.
 */
export class ColumnCarrier implements Service {
  readonly name = "columns";
  readonly #options: ColumnCarrierOptions;
  /** What was told already, by link and table. */
  readonly #told = new Map<string, string>();

  constructor(options: ColumnCarrierOptions) {
    this.#options = options;
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.once(signal);
      await this.#options.timers.sleep(EVERY_MS, signal);
    }
  }

  /** Looks at every link. Never throws: what fails is told, and tried again the next time. */
  async once(signal: AbortSignal): Promise<void> {
    const { links, topology } = this.#options;
    const seen = new Map<NodeName, Columns>();
    const mine = new Set(links().map(linkName));
    for (const link of leavesFirst(topology()).toReversed()) {
      if (!mine.has(linkName(link)) || signal.aborted) continue;
      await this.#carry(link, seen).catch((error: unknown) => this.#failed(link, "", error));
    }
  }

  async #carry(link: TopologyLink, seen: Map<NodeName, Columns>): Promise<void> {
    const { node, topology } = this.#options;
    const [parent, child] = [node(link.parent), node(link.child)];
    // what cannot be reached now is its link's trouble
    if (parent === null || child === null) return;
    const [above, below] = [await this.#columns(parent, seen), await this.#columns(child, seen)];
    const down = new Set<string>(link.channels.filter(({ direction }) => direction !== "up").map(({ name }) => name));
    let ahead = false;
    for (const [table, { wanted, present }] of below) {
      const source = above.get(table)?.present ?? null;
      if (!down.has(wanted.channel) || present === null || source === null) continue;
      ahead = (await this.#carryTable(link, child, { wanted, present, source })) || ahead;
    }
    if (!ahead) return;
    for (const each of [child, parent]) {
      await each.installation.apply(wantedTables(topology(), nodeOf(topology(), each.name)));
      seen.delete(each.name);
    }
  }

  /** Answers whether both have the same columns now, of which not all are captured yet. */
  async #carryTable(
    link: TopologyLink,
    child: Node,
    {
      wanted,
      present,
      source,
    }: { readonly wanted: WantedTable; readonly present: readonly PresentColumn[]; readonly source: readonly PresentColumn[] },
  ): Promise<boolean> {
    const missing = lacking(source, present, wanted.exclude);
    const own = lacking(present, source, []);
    const place = `${linkName(link)} ${wanted.table}`;
    if (missing.length === 0) {
      this.#told.delete(place);
      return own.length === 0 && [...source, ...present].some(({ captured }) => !captured);
    }
    const about = { parent: link.parent, child: link.child, table: wanted.table, columns: missing.map(({ name }) => name) };
    if (own.length > 0) {
      const message = `${wanted.table} of ${link.child} lacks ${about.columns.join(", ")} and has ${own.map(({ name }) => name).join(", ")}, which ${link.parent} has not: was one renamed?`;
      if (this.#isNews(place, message)) this.#options.log.warn({ ...about, code: "COLUMNS_DIFFER" }, message);
      return false;
    }
    try {
      await child.columns.add(wanted, missing);
    } catch (error) {
      this.#failed(link, wanted.table, error);
      return false;
    }
    const apart = missing.filter(({ initial }) => initial === undefined).map(({ name }) => name);
    const rest = apart.length === 0 ? "" : `; rows that are there may have other values of ${apart.join(", ")}: compare the table`;
    this.#options.log.info({ ...about, code: "COLUMNS_ADDED" }, `columns were added to ${wanted.table} of ${link.child}${rest}`);
    return true;
  }

  async #columns(node: Node, seen: Map<NodeName, Columns>): Promise<Columns> {
    const known = seen.get(node.name);
    if (known !== undefined) return known;
    const topology = this.#options.topology();
    const wanted = wantedTables(topology, nodeOf(topology, node.name));
    const found = await node.columns.of(wanted);
    const columns = new Map(wanted.map((table, at) => [table.table as string, { wanted: table, present: found[at] ?? null }]));
    seen.set(node.name, columns);
    return columns;
  }

  #failed(link: TopologyLink, table: string, error: unknown): void {
    const { parent, child } = link;
    const { message } = describeError(error);
    this.#options.onError?.(error);
    if (this.#isNews(`${linkName(link)} ${table}`, message)) {
      this.#options.log.warn({ parent, child, ...(table !== "" && { table }), err: error }, "columns could not be carried over");
    }
  }

  #isNews(place: string, message: string): boolean {
    if (this.#told.get(place) === message) return false;
    this.#told.set(place, message);
    return true;
  }
}

/** What `these` have and `those` have not, however SQLite writes the names. */
function lacking(these: readonly PresentColumn[], those: readonly PresentColumn[], exclude: readonly string[]): readonly PresentColumn[] {
  const there = new Set([...those.map(({ name }) => name), ...exclude].map((name) => name.toLowerCase()));
  return these.filter(({ name }) => !there.has(name.toLowerCase()));
}
