import { TomboloError } from "../change/error.ts";
import type { NodeName, TableName } from "../change/names.ts";
import type { Receipt } from "../change/packet.ts";
import type { Judge } from "../change/verdict.ts";
import { createJudge } from "../conflict/judge.ts";
import { sleep } from "../link/sleep.ts";
import { ShareOfTime } from "../reconcile/share-of-time.ts";
import { Copying } from "./copying.ts";
import { fillEmpty } from "./fill.ts";
import { type HandOverOptions, handOver } from "./hand-over.ts";
import { Lifeline } from "./lifeline.ts";
import type { FullSyncOptions } from "./options.ts";
import { planSync, type SyncPlan } from "./sync-plan.ts";
import { differingRows } from "./verify.ts";

export interface FullSyncResult {
  readonly source: NodeName;
  readonly target: NodeName;
  readonly tables: readonly TableName[];
  readonly state: "done" | "cancelled";
  readonly resumed: boolean;
  /** Rows and bytes that were copied, by this attempt and those before. */
  readonly rows: number;
  readonly bytes: number;
  readonly seconds: number;
  /** Null where it was cancelled. */
  readonly receipt: Receipt | null;
  /** Where the target was copied to before. */
  readonly backup: string | null;
  /** Rows that differed when they were compared; null where they were not. */
  readonly differences: number | null;
  /** Why they were not, where they were to be; null otherwise. */
  readonly unverified: TomboloError | null;
}

/**
 * Makes one node of a link a copy of the other. The rows are copied at one tick while both are written to, into a place where nobody sees them, in chunks, each with
 * how far it got: whatever interrupts, a later run goes on from there. What changed meanwhile is looked up in the source's log and read anew, so that what is staged
 * is the source at one tick after all. Then one transaction at the target makes it so, as a packet that fills the tables: number, positions and hash chain go on from
 * there. What the target has changed itself and the source has not seen stays, and is judged afterwards, as ever.
 *
 * The link goes on meanwhile, but for the hand-over. Throws `FULL_SYNC_RUNS`, `FULL_SYNC_LOST`, `FULL_SYNC_TABLES` (operator), and whatever the databases throw.
 */
export async function fullSync(options: FullSyncOptions): Promise<FullSyncResult> {
  return runSync(await planSync(options), {
    ...options,
    judge: createJudge(options.modules),
    compare: (tables) => differingRows(options, tables),
  });
}

export interface RunSyncOptions
  extends Pick<FullSyncOptions, "resume" | "verify" | "backUp" | "watcher" | "signal" | "pace" | "now" | "chunkRows" | "sleep"> {
  readonly judge: Judge;
  /** What it comes to when the signal aborts: given up, or to be gone on with; given up where it is not said. */
  readonly onAbort?: "cancelled" | "interrupted";
  /** How many rows differ. */
  readonly compare: (tables: readonly TableName[]) => Promise<number>;
}

async function throughStage(options: HandOverOptions): Promise<Receipt | null> {
  const { copying } = options;
  await copying.open();
  await copying.copy();
  const receipt = await handOver(options);
  await copying.close("drop");
  return receipt;
}

/** The same, wherever the two are. */
export async function runSync(plan: SyncPlan, options: RunSyncOptions): Promise<FullSyncResult> {
  const { signal, watcher } = options;
  const started = performance.now();
  const { source, target } = plan;
  const life = await Lifeline.begin({ plan, resume: options.resume, verify: options.verify, watcher });
  const answer = { source: source.name, target: target.name, tables: plan.tables, resumed: life.resumed };
  const share = new ShareOfTime({ percent: options.pace ?? 100, sleep: options.sleep ?? sleep, now: () => performance.now() });
  const copying = new Copying({ plan, life, signal, share, ...(options.chunkRows !== undefined && { chunkRows: options.chunkRows }) });
  try {
    const backup = options.backUp && !life.resumed ? await target.copies.backUp() : null;
    if (backup !== null) watcher.note(`${target.name} was copied to ${backup}`);
    // one transaction cannot rest
    const filled = share.isWhole ? await fillEmpty({ ...options, plan, life }) : "staged";
    const receipt = filled === "staged" ? await throughStage({ ...options, plan, life, copying }) : filled;
    if (receipt !== null) await target.rejoin.resume(source.name);
    const verified =
      receipt !== null && options.verify ? await verify(plan, { ...options, life }) : { differences: null, unverified: null };
    await life.end(receipt === null ? "cancelled" : "done", verified.unverified ?? undefined);
    return {
      ...answer,
      state: receipt === null ? "cancelled" : "done",
      rows: life.rows,
      bytes: life.bytes,
      seconds: (performance.now() - started) / 1000,
      receipt,
      backup,
      ...verified,
    };
  } catch (error) {
    const state = life.stateAfter(error, signal.aborted ? (options.onAbort ?? "cancelled") : null);
    await copying.close(state === "interrupted" ? "keep" : "drop").catch(() => undefined);
    await life.end(state, error).catch(() => undefined);
    throw error;
  }
}

/** The tables are the source's by now: what keeps them from being compared undoes nothing, and nothing is to be copied again because of it. */
async function verify(
  { source, target, tables }: SyncPlan,
  { life, compare, signal }: RunSyncOptions & { readonly life: Lifeline },
): Promise<Pick<FullSyncResult, "differences" | "unverified">> {
  try {
    await life.at({ phase: "verify" });
    const differences = await compare(tables);
    life.note({ differing: differences });
    return { differences, unverified: null };
  } catch (error) {
    const why = signal.aborted ? "it was interrupted" : error instanceof TomboloError ? `${error.message} (${error.code})` : null;
    if (why === null) throw error;
    const unverified = new TomboloError(`${target.name} was filled from ${source.name}, and could not be compared with it: ${why}`, {
      code: "FULL_SYNC_UNVERIFIED",
      kind: "operator",
      hint: "Compare the two with `tombolo reconcile`.",
      cause: error,
    });
    return { differences: null, unverified };
  }
}
