import { usableOffset } from "../change/clock.ts";
import { TomboloError } from "../change/error.ts";
import type { ChannelName, Epoch, NodeName, Position, TableName } from "../change/names.ts";
import type { Receipt } from "../change/packet.ts";
import type { TableShape } from "../change/shape.ts";
import type { Judge } from "../change/verdict.ts";
import type { FrameReader } from "../full-sync/copy-frames.ts";
import { handOverAt } from "../full-sync/hand-over.ts";
import { requireFewRemoved } from "../full-sync/push-guard.ts";
import { localTarget, type SyncSource } from "../full-sync/sync-ends.ts";
import { chosenTables, collectedTables, type SyncPlan } from "../full-sync/sync-plan.ts";
import { type Flow, flowTables } from "../link/flow.ts";
import type { Report } from "../link/report.ts";
import type { CopyChanges, CopyStage, HandOver, Staged, TableDifference } from "../node/full-copy.ts";
import { isSameRun } from "../node/full-sync-begin.ts";
import { edgeHolder, type FullSyncRun, runLost } from "../node/full-sync-runs.ts";
import type { Topology } from "../topology/topology.ts";
import type { EdgePlace } from "./edge-desk.ts";
import { mustFit } from "./edge-push-shapes.ts";
import { edgeRun } from "./edge-run.ts";
import { spooledRows } from "./spooled-rows.ts";

export interface PushedHandOver {
  readonly shapes: readonly TableShape[];
  readonly report: Report;
  readonly epoch: Epoch;
  readonly position: Position;
  readonly seen: readonly (readonly [string, Position])[];
}

/**
 * The hub's part of a full sync in which it takes over what an edge has: it stages what the edge sends, and hands over. Which tables, columns and rows are the edge's to
 * bring is looked up here each time. Between two requests everything is in the database, so that any process of the hub may answer the next one.
 */
export class EdgePushes {
  readonly #place: EdgePlace;
  readonly #topology: Topology;
  readonly #edge: NodeName;
  readonly #holder: string;
  readonly #judge: Judge;

  constructor(place: EdgePlace, options: { readonly topology: Topology; readonly judge: Judge }) {
    this.#place = place;
    this.#topology = options.topology;
    this.#edge = place.link.child;
    this.#holder = edgeHolder(place.link.child);
    this.#judge = options.judge;
  }

  /** Throws `FULL_SYNC_TABLES` (usage), `FULL_SYNC_NOT_ASKED` (operator), and what `FullSyncRuns.begin` throws. */
  async begin(options: {
    readonly tables: readonly TableName[];
    readonly resume: boolean;
    readonly report: Report;
  }): Promise<{ readonly id: bigint; readonly resumed: boolean; readonly position: Position }> {
    const { node, end } = this.#place;
    const { runs } = node.copies;
    const tables = this.#tables(options.tables);
    await end.hear(options.report);
    const start = { peer: this.#edge, side: "target", direction: "push", tables, resume: options.resume, holder: this.#holder } as const;
    await this.#mustBeWanted(tables, options.resume);
    const { id, resumed } = await runs.begin(start);
    try {
      if (!resumed) await node.copies.backUp();
      return { id, resumed, position: (await node.log.tick()).position };
    } catch (error) {
      await runs.end(id, "failed", undefined, this.#holder);
      throw error;
    }
  }

  async staged(id: bigint, shapes: readonly TableShape[]): Promise<CopyStage> {
    return this.#stage(id, shapes, async (stage) => stage);
  }

  /** Throws `FULL_SYNC_LOST` (operator) where the table is not at `after`. */
  async add(
    id: bigint,
    reader: FrameReader,
    chunk: {
      readonly shapes: readonly TableShape[];
      readonly table: TableName;
      readonly after: string | null;
      readonly upTo: string | null;
    },
  ): Promise<Staged> {
    await edgeRun(this.#place.node, this.#edge, id, "target");
    const rows = await spooledRows(reader.rows());
    try {
      await reader.end();
      return await this.#stage(id, chunk.shapes, async (stage) => {
        const now = stage.progress.get(chunk.table);
        if (now === undefined || now.done || now.upTo !== chunk.after) throw runLost();
        return stage.add(chunk.table, { rows: rows.bytes, upTo: chunk.upTo });
      });
    } finally {
      await rows.close();
    }
  }

  async renew(
    id: bigint,
    reader: FrameReader,
    to: {
      readonly shapes: readonly TableShape[];
      readonly position: Position;
      readonly changed: readonly TableName[];
      readonly anew: readonly TableName[];
    },
  ): Promise<CopyStage> {
    await edgeRun(this.#place.node, this.#edge, id, "target");
    const spools: Awaited<ReturnType<typeof spooledRows>>[] = [];
    try {
      const changes: CopyChanges[] = [];
      for (const table of to.changed) {
        const [keys, rows] = [await spooledRows(reader.rows()), await spooledRows(reader.rows())];
        spools.push(keys, rows);
        changes.push({ table, keys: () => keys.bytes, rows: () => rows.bytes });
      }
      await reader.end();
      return await this.#stage(id, to.shapes, async (stage) => {
        const strange = [...to.changed, ...to.anew].some((table) => !stage.progress.has(table));
        if (strange) throw runLost();
        await stage.renew(to.position, changes, to.anew);
        return stage;
      });
    } finally {
      for (const spool of spools) await spool.close();
    }
  }

  /** Counts what the hand-over would do. */
  async compare(id: bigint, asked: PushedHandOver): Promise<readonly TableDifference[]> {
    const { hand } = await this.#handOver(id, asked);
    return this.#stage(id, asked.shapes, (stage) => stage.compare(hand));
  }

  /**
   * One transaction. `number`: what the edge takes for the packet's. Throws `PACKET_GAP` (retry) where it is another, `FULL_SYNC_DELETES` (operator), and what
   * `CopyStage.handOver` throws.
   */
  async handOver(id: bigint, asked: PushedHandOver, number: bigint): Promise<Receipt> {
    const { node } = this.#place;
    const { hand, run } = await this.#handOver(id, asked);
    if (hand.header.number !== number) throw wrongNumber(this.#edge, number);
    return this.#stage(id, asked.shapes, async (stage) => {
      const unfinished = [...stage.progress.values()].some(({ done }) => !done);
      if (unfinished || stage.position !== asked.position) throw runLost();
      const staged = new Map([...stage.progress].map(([table, { rows }]) => [table, rows]));
      requireFewRemoved(await stage.compare(hand), { staged, mayRemove: run.terms.mayRemove ?? null });
      const receipt = await stage.handOver(hand);
      await node.rejoin.resume(this.#edge);
      const { insert, update, delete: gone } = receipt.applied;
      const details = { node: this.#edge, run: id.toString(), added: insert, changed: update, removed: gone };
      await node.audit.record({ who: this.#holder, what: "full sync push handed over", details });
      return receipt;
    });
  }

  async #handOver(id: bigint, asked: PushedHandOver): Promise<{ readonly hand: HandOver; readonly run: FullSyncRun }> {
    const { node, end, link } = this.#place;
    const run = await edgeRun(node, this.#edge, id, "target");
    const { scopes, aheadMs } = await end.hear(asked.report);
    if (scopes === undefined) throw new Error("a parent knows the scopes of its child");
    if (scopes.due(run.tables).length > 0) throw rowsChange(this.#edge);
    const { clockOffsetMs } = await node.installation.identity();
    const within = scopes.current();
    const flow = this.#flow();
    const carried = new Set<ChannelName>(flow.groups.flatMap((group) => group.map(({ name }) => name)));
    const source: Pick<SyncSource, "name" | "identity"> = {
      name: this.#edge,
      identity: async () => ({ epoch: asked.epoch, clockOffsetMs: clockOffsetMs + (usableOffset(aheadMs) ?? 0) }),
    };
    const plan: SyncPlan = {
      direction: "push",
      // it is asked who it is, and nothing else
      source: source as SyncSource,
      target: localTarget(node),
      flow,
      tables: run.tables,
      channels: [...new Set(asked.shapes.map(({ channel }) => channel))].filter((channel) => carried.has(channel)),
      copied: asked.shapes.map((shape) => ({ shape, rows: null })),
      within: new Map([...within].filter(([table]) => run.tables.includes(table))),
      collected: collectedTables(this.#topology, link, within),
    };
    const tick = { position: asked.position, seen: { [node.name]: Object.fromEntries(asked.seen) } };
    return { hand: await handOverAt({ plan, judge: this.#judge }, { tick, first: new Map(), scopes: new Map() }), run };
  }

  async #stage<T>(id: bigint, shapes: readonly TableShape[], work: (stage: CopyStage) => Promise<T>): Promise<T> {
    const { node } = this.#place;
    const run = await edgeRun(node, this.#edge, id, "target");
    mustFit(shapes, await node.log.shapes(this.#tables(run.tables)));
    const copied = shapes.map((shape) => ({ shape, rows: null }));
    let stage: CopyStage | undefined;
    try {
      stage = await node.copies.stage(id, copied, this.#holder);
      return await work(stage);
    } catch (error) {
      // cancelled meanwhile: then that is why
      if (error instanceof TomboloError && error.code === "FULL_SYNC_LOST") await edgeRun(node, this.#edge, id, "target");
      throw error;
    } finally {
      await stage?.close("keep");
    }
  }

  /** The hub's operator asked for it; or nothing comes of it that the edge's changes could not bring about anyway. */
  async #mustBeWanted(tables: readonly TableName[], resume: boolean): Promise<void> {
    const { runs } = this.#place.node.copies;
    const isSame = (run: FullSyncRun): boolean => run.side === "target" && isSameRun(run, { direction: "push", tables });
    const asked = (await runs.requested()).get(this.#edge);
    if (asked !== undefined && isSame(asked)) return;
    const left = resume ? (await runs.list(MOST_RUNS)).find((run) => run.peer === this.#edge && isSame(run)) : undefined;
    if (left?.state === "interrupted" || left?.state === "running") return;
    const { rules } = this.#flow();
    const held = tables.filter((table) => rules.get(table)?.policy !== "child_wins" && rules.get(table)?.oneWay !== true);
    if (held.length === 0) return;
    throw new TomboloError(`${this.#edge} may not make the hub take over ${held.join(", ")}: there the edge's changes do not win`, {
      code: "FULL_SYNC_NOT_ASKED",
      kind: "operator",
      hint: `The hub's operator may ask for it: tombolo full-sync ${this.#edge} --direction push.`,
    });
  }

  #flow(): Pick<Flow, "groups" | "rules"> {
    const { node, link } = this.#place;
    return flowTables({ from: "child", parentEngine: node.engine, link, topology: this.#topology });
  }

  #tables(wanted: readonly TableName[]): readonly TableName[] {
    return chosenTables({ groups: this.#flow().groups, source: this.#edge, target: this.#place.node.name }, wanted);
  }
}

const MOST_RUNS = 200;

const wrongNumber = (edge: NodeName, number: bigint): TomboloError =>
  new TomboloError(`the packet ${number} of ${edge} is not the one that comes next`, {
    code: "PACKET_GAP",
    kind: "retry",
    hint: "Ask where the hub is, and use the number after that.",
  });

const rowsChange = (edge: NodeName): TomboloError =>
  new TomboloError(`${edge} is about to be given other rows than it has`, {
    code: "FULL_SYNC_MOVED",
    kind: "retry",
    hint: "Nothing; it is tried again once the edge has them.",
  });
