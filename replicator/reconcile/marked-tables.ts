import { elapsedMs } from "../change/elapsed.ts";
import type { NodeName, TableName } from "../change/names.ts";
import type { Service } from "../lifecycle/service.ts";
import type { Timers } from "../lifecycle/timers.ts";
import { linkName } from "../lifecycle/tree.ts";
import type { Node } from "../node/node.ts";
import type { Logger } from "../observability/log.ts";
import type { Topology, TopologyLink } from "../topology/topology.ts";
import { DELETE_GUARD } from "./delete-guard.ts";
import { AGAIN_MS, AUTOMATIC, LOOK_EVERY_MS, marksOf, wholeAgain } from "./marks.ts";
import { type LinkResult, reconcileLinks } from "./reconcile-links.ts";

export interface MarkedTablesOptions {
  readonly topology: Topology;
  /** The node, opened unless it is; throws where it cannot be had. */
  readonly node: (name: NodeName) => Promise<Node>;
  readonly log: Logger;
  readonly timers: Timers;
}

export const createMarkedTables = (options: MarkedTablesOptions): Service => new MarkedTables(options);

/** Of a node. */
interface Mark {
  readonly node: NodeName;
  readonly table: TableName;
  readonly reason: string;
}

/**
 * Compares tables that are marked `must_compare`, by itself, once they are as they were installed again: what moved unseen meanwhile is found. It only
 * reports. Where nothing differs the mark goes; a difference is for a person, or a schedule that repairs.
 */
class MarkedTables implements Service {
  readonly name = "marked-tables";
  readonly #options: MarkedTablesOptions;
  /** When a mark was last looked into. */
  readonly #lookedAt = new Map<string, number>();

  constructor(options: MarkedTablesOptions) {
    this.#options = options;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { topology, timers } = this.#options;
    while (!signal.aborted) {
      const marks = (await Promise.all(topology.nodes.map(({ name }) => this.#marksOf(name)))).flat();
      for (const table of new Set(marks.map((mark) => mark.table))) {
        if (signal.aborted) return;
        await this.#compare(
          table,
          marks.filter((mark) => mark.table === table),
          signal,
        );
      }
      await timers.sleep(LOOK_EVERY_MS, signal);
    }
  }

  /** Those that are due: the table is whole again. Of a node that cannot be asked, none. */
  async #marksOf(name: NodeName): Promise<readonly Mark[]> {
    const { node, log, timers } = this.#options;
    try {
      const opened = await node(name);
      return (await wholeAgain(opened, await marksOf(opened)))
        .map(({ table, reason }): Mark => ({ node: name, table, reason: reason ?? "" }))
        .filter((mark) => elapsedMs(this.#lookedAt.get(idOf(mark)) ?? Number.NEGATIVE_INFINITY, timers.now()) >= AGAIN_MS);
    } catch (error) {
      log.debug({ node: name, err: error }, "the node cannot be asked which tables must be compared");
      return [];
    }
  }

  /** Never throws. */
  async #compare(table: TableName, marks: readonly Mark[], signal: AbortSignal): Promise<void> {
    const { topology, node, timers, log } = this.#options;
    const links = this.#linksOf(table, new Set(marks.map((mark) => mark.node)));
    for (const mark of marks) this.#lookedAt.set(idOf(mark), timers.now());
    const about = { table, nodes: marks.map((mark) => mark.node), reasons: [...new Set(marks.map(({ reason }) => reason))] };
    log.info(about, "comparing a table of which changes may have been missed");
    const results = await reconcileLinks({
      ...{ name: AUTOMATIC, repair: "report", scope: "all", topology, links, tables: [table], guard: DELETE_GUARD, node, signal },
      carry: async () => {},
      sleep: timers.sleep,
      now: timers.now,
      onProgress: () => {},
      onReport: () => {},
    });
    if (!signal.aborted) this.#tell(table, results);
  }

  #tell(table: TableName, results: readonly LinkResult[]): void {
    const { log } = this.#options;
    for (const { link, report, error } of results) {
      const about = { link: linkName(link), table };
      const found = report?.tables.find(({ name }) => name === table);
      if (found === undefined) log.warn({ ...about, err: error }, "the table could not be compared");
      else if (found.error !== null) log.warn({ ...about, code: found.error.code, hint: found.error.hint }, found.error.message);
      else if (found.differing > 0) {
        const hint = `Look with \`tombolo reconcile --link ${linkName(link)} --table ${table}\`, then add --repair.`;
        log.warn({ ...about, code: "DRIFT_FOUND", compared: found.compared, differing: found.differing, hint }, "rows differ");
      } else log.info({ ...about, compared: found.compared, under_way: found.unsettled }, "no row differs");
    }
  }

  /** Whatever tells that these nodes' tables are as they should be: the link above, or, at the root, all below (see `reconcileLinks`). */
  #linksOf(table: TableName, nodes: ReadonlySet<NodeName>): readonly TopologyLink[] {
    const { channels, links } = this.#options.topology;
    const channel = channels.find(({ tables }) => tables.some(({ name }) => name === table))?.name;
    const carrying = links.filter((link) => link.channels.some(({ name }) => name === channel));
    return carrying.filter(
      ({ parent, child }) => nodes.has(child) || (nodes.has(parent) && !carrying.some((above) => above.child === parent)),
    );
  }
}

const idOf = ({ node, table, reason }: Mark): string => JSON.stringify([node, table, reason]);
