import type { Receipt } from "../change/packet.ts";
import type { CopySnapshot, NearSnapshot } from "../node/full-copy.ts";
import { fitsLater, type HandOverOptions, handOverTerms } from "./hand-over.ts";

/** What the tables' writers wait for, and what an interruption costs: half a minute is what is reckoned with. */
const MOST_BYTES = 1 << 30;
const MOST_MS = 30_000;
/** After so much it shows how long it is going to take. */
const PACE_MS = 5_000;

export type FillEmptyOptions = Omit<HandOverOptions, "copying">;

/**
 * The short way of a full sync, where the target's tables are empty, nothing of them was staged before, both databases are near, and it does not take long: the rows go
 * straight into the tables, in the transaction that hands over. Null when whoever was asked does not want it; `staged`, with nothing done, where that is not so.
 */
export async function fillEmpty(options: FillEmptyOptions): Promise<Receipt | null | "staged"> {
  const { plan, life } = options;
  const { source, target } = plan;
  if (life.resumed || source.openNear === undefined || !(await target.copies.areEmpty(plan.tables))) return "staged";
  const snapshot = await source.openNear(plan.copied);
  try {
    const size = await snapshot.size(plan.copied);
    return size > MOST_BYTES ? "staged" : await filled(options, snapshot, size);
  } catch (error) {
    if (fitsLater(error)) return "staged";
    throw error;
  } finally {
    await snapshot.close();
  }
}

async function filled(options: FillEmptyOptions, snapshot: NearSnapshot, size: number): Promise<Receipt | null | "staged"> {
  const { plan, life, signal, watcher } = options;
  const { source, target } = plan;
  const { tick } = snapshot;
  const terms = await handOverTerms(options);
  // the source keeps its log from here on, and the link waits
  await life.at({ phase: "hand_over", position: tick.position, estimatedRows: await estimated(options, snapshot) });
  const handOver = await terms.build(tick);
  await source.announce(handOver.header.number);
  const pace = new Pace(size);
  const done = await target.copies
    .fill({
      run: life.run,
      tables: plan.copied,
      handOver,
      source: snapshot,
      onBytes(bytes) {
        signal.throwIfAborted();
        life.note({ bytes: pace.add(bytes) });
      },
      agreed(differences) {
        life.note({ rows: differences.reduce((sum, { added }) => sum + added, 0) });
        return watcher.goAhead(differences);
      },
    })
    .catch((error: unknown) => {
      if (pace.isTooSlow) return "unsuited" as const;
      throw error;
    });
  if (done === "declined") return null;
  if (done === "unsuited") return "staged";
  await terms.handedOver(tick, done);
  return done;
}

async function estimated({ plan }: FillEmptyOptions, snapshot: Pick<CopySnapshot, "estimate">): Promise<number> {
  let rows = 0;
  for (const copied of plan.copied) rows += await snapshot.estimate(copied);
  return rows;
}

/** Gives up what would take too long. */
class Pace {
  readonly #size: number;
  readonly #started = performance.now();
  #bytes = 0;
  isTooSlow = false;

  constructor(size: number) {
    this.#size = size;
  }

  /** Answers how many bytes there were. Throws when, at this pace, the whole takes too long. */
  add(bytes: number): number {
    this.#bytes += bytes;
    const ms = performance.now() - this.#started;
    this.isTooSlow = ms > MOST_MS || (ms > PACE_MS && (ms / this.#bytes) * this.#size > MOST_MS);
    if (this.isTooSlow) throw new Error("a fill is too slow");
    return this.#bytes;
  }
}
