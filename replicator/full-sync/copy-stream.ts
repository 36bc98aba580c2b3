import { z } from "zod";
import { type Position, position, type TableName, tableName } from "../change/names.ts";
import type { Codec } from "../change/packet-compression.ts";
import type { CopiedTable, CopyChanges, CopySnapshot, Staged } from "../node/full-copy.ts";
import { jsonFrame, rowFrames } from "./copy-frames.ts";

const name = z.string().min(1).max(500);
const digits = z.string().regex(/^(0|[1-9]\d{0,18})$/);
const count = z.number().min(0);

/** What an edge has staged, and so what it asks for. `up_to` is what a chunk of the same source ended with. */
export const rowsRequest = z.strictObject({
  position: digits.nullable().meta({ description: "The tick that everything staged is of; null before the first." }),
  tables: z.array(z.strictObject({ table: name, up_to: z.string().nullable(), done: z.boolean() })).max(10_000),
  chunk_rows: z.int().min(1).max(1_000_000).default(10_000),
});

/**
 * What the answer begins with. Then come, for each of `changed`, its keys and its rows; then chunks, each after its `chunkHead`; in the end
 * `chunkEnd`.
 */
export const streamHead = z.object({
  position: digits.transform((text) => position(text)),
  seen: z.array(z.tuple([name, digits.transform((text) => position(text))])),
  estimates: z.array(z.tuple([name, count])),
  changed: z.array(name.transform(tableName)),
  anew: z.array(name.transform(tableName)),
});

export const chunkHead = z.union([
  z.strictObject({ table: name.transform(tableName), up_to: z.string().nullable() }),
  z.strictObject({ more: z.boolean() }),
]);

export type Place = Pick<Staged, "upTo" | "done">;

/**
 * Everything that is missing at the other side, at one tick: what has changed of what is there, then the rest in chunks. Ends after `untilMs` with `more`, so that no
 * snapshot is held for as long as a slow line takes; whoever reads asks again, and goes on at a later tick.
 */
export async function* copyStream(
  snapshot: CopySnapshot,
  options: {
    readonly copied: readonly CopiedTable[];
    readonly staged: { readonly position: Position | null; readonly places: ReadonlyMap<TableName, Place> };
    /** Of the ticks that the snapshot has seen: those of the reader. */
    readonly reader: string;
    readonly chunkRows: number;
    readonly codec: Codec;
    readonly isOver: () => boolean;
  },
): AsyncGenerator<Buffer> {
  const { copied, staged, reader, chunkRows, codec, isOver } = options;
  const place = ({ shape }: CopiedTable): Place => staged.places.get(shape.table) ?? { upTo: null, done: false };
  const { tick } = snapshot;
  const changed: CopyChanges[] = [];
  const anew: TableName[] = [];
  const since = staged.position;
  for (const one of since === null || since === tick.position ? [] : copied) {
    const changes = await snapshot.changed(one, since as Position, place(one));
    if (changes === null) anew.push(one.shape.table);
    else changed.push(changes);
  }
  const estimates: [string, number][] = [];
  for (const one of copied) if (!place(one).done) estimates.push([one.shape.table, await snapshot.estimate(one)]);
  const seen = Object.entries(tick.seen[reader] ?? {}).map(([channel, at]): [string, string] => [channel, at.toString()]);
  yield jsonFrame({ position: tick.position.toString(), seen, estimates, changed: changed.map(({ table }) => table), anew });
  for (const changes of changed) {
    yield* rowFrames(changes.keys(), codec);
    yield* rowFrames(changes.rows(), codec);
  }
  let sent = 0;
  for (const one of copied) {
    let { upTo, done } = anew.includes(one.shape.table) ? { upTo: null, done: false } : place(one);
    while (!done) {
      if (sent > 0 && isOver()) {
        yield jsonFrame({ more: true });
        return;
      }
      const chunk = await snapshot.chunk(one, upTo, chunkRows);
      yield jsonFrame({ table: one.shape.table, up_to: chunk.upTo });
      yield* rowFrames(chunk.rows, codec);
      sent += 1;
      upTo = chunk.upTo;
      done = upTo === null;
    }
  }
  yield jsonFrame({ more: false });
}
