import type { Receipt } from "../change/packet.ts";
import type { CopySnapshot, Filler, NearSnapshot } from "../node/full-copy.ts";
import { fitsLater, type HandOverOptions, handOverTerms } from "./hand-over.ts";
import { Pace } from "./pace.ts";

export type FillEmptyOptions = Omit<HandOverOptions, "copying">;

/**
 * The short way of a full sync, where the target's tables are empty, nothing of them was staged before, both databases are near, and it does not take long: the rows go
 * straight into the tables, in the transaction that hands over. Null when whoever was asked does not want it; `staged`, with nothing done, where that is not so.
 */
export async function fillEmpty(options: FillEmptyOptions): Promise<Receipt | null | "staged"> {
  const { plan, life } = options;
  const { source, target } = plan;
  const { filler } = target.copies;
  if (life.resumed || source.openNear === undefined || filler === undefined || !(await filler.areEmpty(plan.tables))) return "staged";
  const snapshot = await source.openNear(plan.copied);
  try {
    const size = await snapshot.size(plan.copied);
    return size > filler.most.bytes ? "staged" : await filled(options, { snapshot, filler, size });
  } catch (error) {
    if (fitsLater(error)) return "staged";
    throw error;
  } finally {
    await snapshot.close();
  }
}

async function filled(
  options: FillEmptyOptions,
  { snapshot, filler, size }: { readonly snapshot: NearSnapshot; readonly filler: Filler; readonly size: number },
): Promise<Receipt | null | "staged"> {
  const { plan, life, signal, watcher } = options;
  const { source } = plan;
  const { tick } = snapshot;
  const terms = await handOverTerms(options);
  // the source keeps its log from here on, and the link waits
  await life.at({ phase: "hand_over", position: tick.position, estimatedRows: await estimated(options, snapshot) });
  const handOver = await terms.build(tick);
  await source.announce(handOver.header.number);
  const pace = new Pace({ size, mostMs: filler.most.ms });
  const done = await filler
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
