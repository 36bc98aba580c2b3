import { TomboloError } from "../change/error.ts";
import type { NodeName, Position, TableName } from "../change/names.ts";
import type { Tick } from "../node/change-log.ts";
import type { CopiedTable, CopyChanges, CopyChunk, CopySnapshot } from "../node/full-copy.ts";
import { FrameReader } from "./copy-frames.ts";
import { chunkHead, streamHead } from "./copy-stream.ts";

/** The other side has ended the stream before all was there: see `copyStream`. */
const cut = (): TomboloError =>
  new TomboloError("the hub goes on at a later tick", {
    code: "FULL_SYNC_CUT",
    kind: "retry",
    hint: "Nothing; it is asked again at once.",
  });

/**
 * A snapshot of a source that streams what `copyStream` makes. It is asked in just the order in which that is sent: changes first, then chunks, table by table.
 */
export class FarSnapshot implements CopySnapshot {
  readonly tick: Tick;
  readonly #reader: FrameReader;
  readonly #estimates: ReadonlyMap<string, number>;
  readonly #changed: ReadonlySet<TableName>;
  #open = true;

  private constructor(options: {
    readonly reader: FrameReader;
    readonly tick: Tick;
    readonly estimates: ReadonlyMap<string, number>;
    readonly changed: ReadonlySet<TableName>;
  }) {
    this.tick = options.tick;
    this.#reader = options.reader;
    this.#estimates = options.estimates;
    this.#changed = options.changed;
  }

  static async open(bytes: AsyncIterable<Uint8Array>, target: NodeName): Promise<FarSnapshot> {
    const reader = new FrameReader(bytes);
    try {
      const head = await reader.json(streamHead);
      const tick = { position: head.position, seen: { [target]: Object.fromEntries(head.seen) } };
      return new FarSnapshot({ reader, tick, estimates: new Map(head.estimates), changed: new Set(head.changed) });
    } catch (error) {
      await reader.close();
      throw error;
    }
  }

  async estimate({ shape }: CopiedTable): Promise<number> {
    return this.#estimates.get(shape.table) ?? 0;
  }

  async changed({ shape: { table } }: CopiedTable, _: Position): Promise<CopyChanges | null> {
    if (!this.#changed.has(table)) return null;
    return { table, keys: () => this.#reader.rows(), rows: () => this.#reader.rows() };
  }

  async chunk({ shape }: CopiedTable): Promise<CopyChunk> {
    const head = await this.#reader.json(chunkHead);
    if ("more" in head) throw cut();
    if (head.table !== shape.table) {
      throw new TomboloError(`rows of ${head.table} came where those of ${shape.table} were to`, {
        code: "EXCHANGE_INVALID",
        kind: "retry",
      });
    }
    return { rows: this.#reader.rows(), upTo: head.up_to };
  }

  async close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    await this.#reader.close();
  }
}
