import { TomboloError } from "../change/error.ts";
import { type ChannelName, type NodeName, type Position, packetNumber, type TableName } from "../change/names.ts";
import type { TableShape } from "../change/shape.ts";
import { copyStream, type Place } from "../full-sync/copy-stream.ts";
import { chosenTables } from "../full-sync/sync-plan.ts";
import { type FlowChannel, flowTables, scopedTables } from "../link/flow.ts";
import { LinkScopes } from "../link/link-scopes.ts";
import type { TableStart } from "../link/relay.ts";
import type { Report } from "../link/report.ts";
import { edgeHolder, type FullSyncRun, type RunEnd, type RunProgress } from "../node/full-sync-runs.ts";
import { ANY_DIGEST } from "../node/sent-packets.ts";
import type { Topology } from "../topology/topology.ts";
import type { EdgePlace } from "./edge-desk.ts";
import { edgeRun } from "./edge-run.ts";
import type { ImageDesk, ImageOf } from "./images/image-desk.ts";
import type { Image } from "./images/image-store.ts";

/** How long one stream of rows may take, and so hold a snapshot. */
const STREAM_MS = 60_000;

/**
 * The hub's part of a full sync that an edge runs: rows at one tick, of the tables and the rows that are the edge's, and what a hand-over there changes here. Between two
 * requests everything is in `full_sync_run`, so that any process of the hub may answer the next one.
 */
export class EdgeCopies {
  readonly #place: EdgePlace;
  readonly #topology: Topology;
  readonly #edge: NodeName;
  readonly #holder: string;

  constructor(place: EdgePlace, topology: Topology) {
    this.#place = place;
    this.#topology = topology;
    this.#edge = place.link.child;
    this.#holder = edgeHolder(place.link.child);
  }

  /** What would be copied, and who from: its epoch, and its clock now. Throws `FULL_SYNC_TABLES` (usage). */
  async plan(
    wanted: readonly TableName[] | null,
  ): Promise<{ readonly shapes: readonly TableShape[]; readonly epoch: string; readonly clockMs: number }> {
    const { node, end } = this.#place;
    const shapes = await node.log.shapes(this.#tables(wanted));
    const { epoch } = await node.installation.identity();
    const { clockMs } = await end.report();
    return { shapes, epoch, clockMs };
  }

  /** Whether the edge, where it has no rows yet, does well to ask for a full sync at once. */
  async isLarge(images: ImageDesk, wanted: readonly TableName[] | null): Promise<boolean> {
    return images.isLarge(await this.#imageOf(wanted));
  }

  /** Throws `FULL_SYNC_LOST` (operator) where the run is not this edge's. From here on the log is kept for an edge that takes the image. */
  async image(images: ImageDesk, id: bigint): Promise<Awaited<ReturnType<ImageDesk["offer"]>>> {
    const { tables } = await this.#run(id);
    return images.offer(this.#edge, await this.#imageOf(tables));
  }

  async mayHave(images: ImageDesk, id: bigint, image: Image): Promise<boolean> {
    const { tables } = await this.#run(id);
    return images.isOf(image, await this.#imageOf(tables));
  }

  async takes(id: bigint, { position }: Image): Promise<void> {
    const { phase, rows, bytes, estimatedRows } = await this.#run(id);
    await this.#place.node.copies.runs.beat(id, { phase, rows, bytes, estimatedRows, position }, this.#holder);
  }

  /** The same that `rows` would send. */
  async #imageOf(wanted: readonly TableName[] | null): Promise<ImageOf> {
    const { node } = this.#place;
    const tables = this.#tables(wanted);
    const rows = this.#scopes().first(tables);
    const shapes = await node.log.shapes(tables);
    return { node, topology: this.#topology, copied: shapes.map((shape) => ({ shape, rows: rows.get(shape.table)?.rows ?? null })) };
  }

  /** Throws `PACKET_FORK` (operator), and what `FullSyncRuns.begin` throws. */
  async begin(options: {
    readonly tables: readonly TableName[];
    readonly resume: boolean;
    readonly report: Report;
  }): Promise<{ id: bigint; resumed: boolean }> {
    const { node, end } = this.#place;
    const tables = this.#tables(options.tables);
    await end.hear(options.report);
    return node.copies.runs.begin({
      peer: this.#edge,
      side: "source",
      direction: "pull",
      tables,
      resume: options.resume,
      holder: this.#holder,
    });
  }

  /** Throws `FULL_SYNC_LOST` (operator) where the run is not this edge's, or not any more. */
  async rows(
    id: bigint,
    options: {
      readonly position: Position | null;
      readonly places: ReadonlyMap<TableName, Place>;
      readonly chunkRows: number;
      readonly now: () => number;
    },
  ): Promise<AsyncGenerator<Buffer>> {
    const { node } = this.#place;
    const { copied } = await this.#imageOf((await this.#run(id)).tables);
    const snapshot = await node.copies.open(copied);
    const until = options.now() + STREAM_MS;
    const stream = copyStream(snapshot, {
      copied,
      staged: options,
      reader: this.#edge,
      chunkRows: options.chunkRows,
      codec: this.#topology.batch.compression,
      isOver: () => options.now() > until,
    });
    return closing(stream, () => snapshot.close());
  }

  /** Says that the run lives, or how it ended; whichever way the rows go. */
  async note(id: bigint, progress: RunProgress, end: { readonly state: RunEnd; readonly error: string | null } | null): Promise<void> {
    const { node } = this.#place;
    const { runs } = node.copies;
    const before = await edgeRun(node, this.#edge, id);
    await runs.beat(id, progress, this.#holder).catch(async (error: unknown) => {
      // it may have been cancelled since
      await edgeRun(node, this.#edge, id);
      throw error;
    });
    // what comes here is counted as for every node
    if (before.side === "source") this.#place.observer.copied(Math.max(0, progress.rows - before.rows));
    if (end !== null) await runs.end(id, end.state, end.error ?? undefined, this.#holder);
  }

  /** The edge is about to hand over. Answers the scopes that its tables are at then. `number`: of the packet that it makes of it. */
  async handOver(id: bigint, report: Report, number: bigint | null): Promise<ReadonlyMap<TableName, bigint>> {
    const { node, end } = this.#place;
    const { tables } = await this.#run(id);
    const { scopes } = await end.hear(report);
    const numbers = (await scopes?.numbers(this.#tables(tables))) ?? new Map();
    if (number !== null && number !== report.state.number + 1n) throw wrongNumber(this.#edge, number);
    if (number !== null) await node.sent.note(this.#edge, { number: packetNumber(number), digest: ANY_DIGEST });
    return numbers;
  }

  /** The edge has. */
  async handedOver(
    id: bigint,
    report: Report,
    done: { readonly position: Position; readonly starts: readonly TableStart[] },
  ): Promise<void> {
    const { node, end } = this.#place;
    const { tables } = await this.#run(id);
    await end.hear(report);
    for (const start of done.starts) await end.start(start);
    const whole = this.#channels().filter((channel) => channel.tables.every((table) => tables.includes(table)));
    await node.log.acknowledge(
      this.#edge,
      whole.map(({ name }): ChannelName => name),
      done.position,
      report.state.number,
    );
    await node.rejoin.resume(this.#edge);
    await node.log.refresh(this.#edge, report.state.wanted);
  }

  #run(id: bigint): Promise<FullSyncRun> {
    return edgeRun(this.#place.node, this.#edge, id, "source");
  }

  #channels(): readonly FlowChannel[] {
    const { node, link } = this.#place;
    return flowTables({ from: "parent", parentEngine: node.engine, link, topology: this.#topology }).groups.flat();
  }

  #tables(wanted: readonly TableName[] | null): readonly TableName[] {
    return chosenTables({ groups: [this.#channels()], source: this.#place.node.name, target: this.#edge }, wanted);
  }

  #scopes(): LinkScopes {
    const { node, link } = this.#place;
    return new LinkScopes({ parent: node, child: this.#edge, tables: scopedTables({ parent: node, link, topology: this.#topology }) });
  }
}

/** What went wrong before the first piece is thrown at once, so that it is told with its code. */
async function closing(stream: AsyncGenerator<Buffer>, close: () => Promise<void>): Promise<AsyncGenerator<Buffer>> {
  let first: IteratorResult<Buffer>;
  try {
    first = await stream.next();
  } catch (error) {
    await close();
    throw error;
  }
  return (async function* () {
    try {
      if (!first.done) yield first.value;
      yield* stream;
    } finally {
      await close();
    }
  })();
}

const wrongNumber = (edge: NodeName, number: bigint): TomboloError =>
  new TomboloError(`${edge} is not where a hand-over of number ${number} comes next`, {
    code: "PACKET_GAP",
    kind: "retry",
    hint: "Report where the edge is, and use the number after that.",
  });
