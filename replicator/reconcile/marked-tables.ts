import { elapsedMs } from "../change/elapsed.ts";
import type { NodeName, TableName } from "../change/names.ts";
import type { Service } from "../lifecycle/service.ts";
import type { Timers } from "../lifecycle/timers.ts";
import { linkName } from "../lifecycle/tree.ts";
import type { Node } from "../node/node.ts";
import type { Logger } from "../observability/log.ts";
import type { Topology, TopologyLink } from "../topology/topology.ts";
import { decidingGroups, decidingLinks } from "./deciding.ts";
import { DELETE_GUARD } from "./delete-guard.ts";
import { MarkedEdges } from "./marked-edges.ts";
import { AGAIN_MS, AUTOMATIC, LOOK_EVERY_MS, marksOf, wholeAgain } from "./marks.ts";
import { foundEqual, type LinkResult, reconcileLinks } from "./reconcile-links.ts";

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
  readonly reason: string | null;
}

interface Look {
  readonly node: NodeName;
  readonly atMs: number;
  /** As far as links tell. */
  readonly equal: boolean;
}

/**
 * Compares tables that are marked `must_compare`, by itself, once they are as they were installed again: what moved unseen meanwhile is found. It only
 * reports. Where nothing differs the mark goes; a difference is for a person, or a schedule that repairs.
 */
class MarkedTables implements Service {
  readonly name = "marked-tables";
  readonly #options: MarkedTablesOptions;
  readonly #edges: MarkedEdges;
  /** Marks that were looked into. */
  readonly #looked = new Map<string, Look>();

  constructor(options: MarkedTablesOptions) {
    this.#options = options;
    this.#edges = new MarkedEdges({ ...options, now: options.timers.now });
  }

  async run(signal: AbortSignal): Promise<void> {
    const { topology, timers } = this.#options;
    while (!signal.aborted) {
      const found = await Promise.all(topology.nodes.map(({ name }) => this.#marksOf(name)));
      const away = new Set(topology.nodes.flatMap(({ name }, at) => (found[at] === null ? [name] : [])));
      const marks = found.flatMap((own) => own ?? []);
      this.#forget(new Set(marks.map(idOf)), away);
      for (const table of new Set(marks.map((mark) => mark.table))) {
        if (signal.aborted) return;
        const due = marks.filter((mark) => mark.table === table && this.#isDue(mark));
        if (due.length > 0) await this.#compare(table, due, signal);
      }
      await this.#askEdges(marks);
      await timers.sleep(LOOK_EVERY_MS, signal);
    }
  }

  #isDue(mark: Mark): boolean {
    const look = this.#looked.get(idOf(mark));
    return look === undefined || (!look.equal && elapsedMs(look.atMs, this.#options.timers.now()) >= AGAIN_MS);
  }

  /** A mark that comes again after it was gone is another one. */
  #forget(marks: ReadonlySet<string>, away: ReadonlySet<NodeName>): void {
    for (const [id, { node }] of this.#looked) if (!marks.has(id) && !away.has(node)) this.#looked.delete(id);
    this.#edges.keep(new Set(this.#looked.keys()));
  }

  /** Of the tables that are whole again; null of a node that cannot be asked. */
  async #marksOf(name: NodeName): Promise<readonly Mark[] | null> {
    const { node, log } = this.#options;
    try {
      const opened = await node(name);
      return (await wholeAgain(opened, await marksOf(opened))).map((mark): Mark => ({ node: name, ...mark }));
    } catch (error) {
      log.debug({ node: name, err: error }, "the node cannot be asked which tables must be compared");
      return null;
    }
  }

  /** Never throws. */
  async #compare(table: TableName, marks: readonly Mark[], signal: AbortSignal): Promise<void> {
    const { topology } = this.#options;
    const links = marks.flatMap((mark) => decidingLinks(topology, mark.node, table));
    const atMs = this.#options.timers.now();
    const results = links.length === 0 ? [] : await this.#compareOver(links, { table, marks, signal });
    if (signal.aborted) return;
    for (const mark of marks) {
      this.#looked.set(idOf(mark), { node: mark.node, atMs, equal: foundEqual(topology, mark, results) });
    }
    this.#tell(table, results);
  }

  async #compareOver(
    links: readonly TopologyLink[],
    { table, marks, signal }: { readonly table: TableName; readonly marks: readonly Mark[]; readonly signal: AbortSignal },
  ): Promise<readonly LinkResult[]> {
    const { topology, node, timers, log } = this.#options;
    const about = { table, nodes: marks.map((mark) => mark.node), reasons: [...new Set(marks.map(({ reason }) => reason))] };
    log.info(about, "comparing a table of which changes may have been missed");
    return reconcileLinks({
      ...{ name: AUTOMATIC, repair: "report", scope: "all", topology, links, tables: [table], guard: DELETE_GUARD, node, signal },
      carry: async () => {},
      sleep: timers.sleep,
      now: timers.now,
      onProgress: () => {},
      onReport: () => {},
    });
  }

  /** Where edges are below a root, the mark goes once they have all told that nothing differs. Never throws. */
  async #askEdges(marks: readonly Mark[]): Promise<void> {
    const { topology, node, log } = this.#options;
    for (const mark of marks) {
      const { table, reason } = mark;
      if (decidingGroups(topology, mark.node, table).length === 0) continue;
      try {
        const marked = await node(mark.node);
        const equal = await this.#edges.areEqual(idOf(mark), { node: marked, table });
        if (equal && this.#looked.get(idOf(mark))?.equal === true) await marked.reconciles.compared([{ table, reason }]);
      } catch (error) {
        log.debug({ node: mark.node, table, err: error }, "the edges cannot be asked to compare a table");
      }
    }
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
}

const idOf = ({ node, table, reason }: Mark): string => JSON.stringify([node, table, reason]);
