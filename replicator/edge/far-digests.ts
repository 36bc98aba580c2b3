import type { z } from "zod";
import { type NodeName, position } from "../change/names.ts";
import type { TableShape } from "../change/shape.ts";
import type { Tick } from "../node/change-log.ts";
import type { DigestSnapshot, FoundRow, KeyText, RangeDigest } from "../node/digest.ts";
import { digestsAnswer, digestsOfAnswer, keysAnswer, listAnswer, rowsAnswer, seenOf } from "../reconcile/far-asks.ts";

interface FoundRows {
  readonly tick: Tick;
  readonly tables: readonly ReadonlyMap<KeyText, FoundRow | null>[];
}

export type Ask = <T extends z.ZodType>(schema: T, question: object) => Promise<z.output<T>>;

/**
 * A hub's tables, digested behind HTTP. Ranges are asked for at a cut each, which finds candidates only; rows come with `open`, all at the one cut that `tick` tells of.
 */
export class FarDigests implements DigestSnapshot {
  readonly #ask: Ask;
  readonly #shapes: readonly TableShape[];
  readonly #rows: FoundRows | null;

  private constructor(ask: Ask, shapes: readonly TableShape[], rows: FoundRows | null) {
    this.#ask = ask;
    this.#shapes = shapes;
    this.#rows = rows;
  }

  static async open(
    ask: Ask,
    options: {
      readonly shapes: readonly TableShape[];
      readonly edge: NodeName;
      readonly keys?: readonly (readonly KeyText[])[] | undefined;
    },
  ): Promise<FarDigests> {
    const { shapes, edge, keys } = options;
    if (keys === undefined) return new FarDigests(ask, shapes, null);
    const question = { ask: "rows", tables: shapes.map((shape, at) => ({ shape, keys: keys[at] ?? [] })) };
    const answer = await ask(rowsAnswer, question);
    const tick: Tick = { position: position(answer.position), seen: { [edge]: seenOf(answer.seen) } };
    const tables = answer.tables.map((rows, at) => new Map((keys[at] ?? []).map((key, place) => [key, rows[place] ?? null])));
    return new FarDigests(ask, shapes, { tick, tables });
  }

  get tick(): Tick {
    if (this.#rows === null) throw new Error("no rows were asked for");
    return this.#rows.tick;
  }

  bounds: DigestSnapshot["bounds"] = async (table, range, { rows, count }) =>
    (await this.#ask(keysAnswer, { ask: "bounds", shape: this.#shapes[table], range, rows, count })).keys;

  digests: DigestSnapshot["digests"] = async (table, ranges) => {
    if (ranges.length === 0) return [];
    return (await this.#ask(digestsAnswer, { ask: "digests", shape: this.#shapes[table], ranges })).ranges.map(rangeOf);
  };

  buckets: DigestSnapshot["buckets"] = async (table, digits) =>
    (await this.#ask(digestsAnswer, { ask: "buckets", shape: this.#shapes[table], digits })).ranges.map(rangeOf);

  list: DigestSnapshot["list"] = async (table, ranges) =>
    (await this.#ask(listAnswer, { ask: "list", shape: this.#shapes[table], ranges })).rows.map(([key, digest]) => ({ key, digest }));

  digestsOf: DigestSnapshot["digestsOf"] = async (table, keys) =>
    (await this.#ask(digestsOfAnswer, { ask: "digests_of", shape: this.#shapes[table], keys: [...keys] })).digests;

  rows: DigestSnapshot["rows"] = async (table, keys) => keys.map((key) => this.#rows?.tables[table]?.get(key) ?? null);

  async close(): Promise<void> {
    // nothing is open at the hub
  }
}

const rangeOf = ([from, to, rows, digest]: z.output<typeof digestsAnswer>["ranges"][number]): RangeDigest => ({
  range: { from, to },
  rows,
  digest,
});
