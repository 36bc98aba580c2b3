import { usableOffset } from "../change/clock.ts";
import { TomboloError } from "../change/error.ts";
import { type ChannelName, type Position, packetNumber, START } from "../change/names.ts";
import type { PacketHeader, Receipt } from "../change/packet.ts";
import type { Judge } from "../change/verdict.ts";
import { sleep } from "../link/sleep.ts";
import { sealedAsOf, type Tick } from "../node/change-log.ts";
import type { HandOver } from "../node/full-copy.ts";
import type { ApplyContext } from "../node/target.ts";
import type { Copying } from "./copying.ts";
import type { Lifeline } from "./lifeline.ts";
import type { FullSyncOptions } from "./options.ts";
import type { HandedOver } from "./sync-ends.ts";
import type { SyncPlan } from "./sync-plan.ts";

/** A link that moves on while it is handed over stops within a second or two; applications whose locks are in the way end within minutes. */
const ATTEMPTS = 20;
/** The first; each is longer by as much as that. */
const PAUSE_MS = 200;
/** The link has moved on: no news for whoever waits. */
const MOVED = new Set(["PACKET_GAP", "PACKET_FORK", "FULL_SYNC_MOVED"]);

export interface HandOverOptions extends Pick<FullSyncOptions, "watcher" | "signal" | "now"> {
  readonly plan: SyncPlan;
  readonly life: Lifeline;
  readonly copying: Copying;
  readonly judge: Judge;
}

/** What every hand-over of a run is made of, at whatever tick. */
export interface HandOverTerms {
  build(tick: Tick): Promise<HandOver>;
  /** Afterwards: the source learns of it. */
  handedOver(tick: Tick, receipt: Receipt): Promise<void>;
}

export type TermsOptions = Pick<HandOverOptions, "plan" | "judge" | "now">;

export async function handOverTerms(options: TermsOptions): Promise<HandOverTerms> {
  const { plan } = options;
  const { source } = plan;
  const scopes = await source.scopes();
  const first = await pendingBefore(plan);
  return {
    build: (tick) => handOverAt(options, { tick, first, scopes }),
    handedOver: (tick, receipt) =>
      source.handedOver({
        position: tick.position,
        ...sealedAsOf(tick),
        receipt,
        wholeChannels: wholeChannels(plan),
        scopes,
        starts: otherWay(plan, first),
      }),
  };
}

/** Another packet came between, or an application's locks were in the way: at a later tick it may fit. */
export const fitsLater = (error: unknown): error is TomboloError =>
  error instanceof TomboloError && (error.kind === "retry" || MOVED.has(error.code));

/** Makes the target what is staged, at a tick that nothing at the target is ahead of. Null when whoever was asked does not want it. */
export async function handOver(options: HandOverOptions): Promise<Receipt | null> {
  const { plan, life, copying, signal, watcher } = options;
  await life.at({ phase: "apply" });
  const terms = await handOverTerms(options);
  const asked = await copying.stage.compare(await terms.build(await copying.copy()));
  if (!(await watcher.goAhead(asked))) return null;
  // the link waits from here on
  await life.at({ phase: "hand_over" });
  // once it is done, all that may be tried again is to tell the source: what it is asked for is in this receipt only
  let done: { readonly tick: Tick; readonly receipt: Receipt } | undefined;
  for (let attempt = 1; ; attempt++) {
    if (done === undefined) signal.throwIfAborted();
    try {
      if (done === undefined) {
        const tick = await copying.copy();
        const built = await terms.build(tick);
        await plan.source.announce(built.header.number);
        done = { tick, receipt: await copying.stage.handOver(built) };
      }
      await terms.handedOver(done.tick, done.receipt);
      return done.receipt;
    } catch (error) {
      if (!fitsLater(error) || attempt >= ATTEMPTS) throw error;
      if (attempt === 1 && !MOVED.has(error.code)) watcher.note(`${error.message} (${error.code}); the hand-over is tried again`);
      await sleep(PAUSE_MS * attempt, signal);
    } finally {
      await life.at({ phase: "hand_over" });
    }
  }
}

/** What a hand-over at this tick is, to a target that is in a database. */
export async function handOverAt(
  options: TermsOptions,
  at: { readonly tick: Tick; readonly first: ReadonlyMap<ChannelName, Position>; readonly scopes: HandOver["scopes"] },
): Promise<HandOver> {
  const { within, collected } = options.plan;
  const [head, around] = [await header(options.plan, at.tick, at.first), await context(options)];
  return { header: head, context: around, within, collected, scopes: at.scopes };
}

/**
 * In a channel that the target's own changes have never travelled in, which of them the source has not seen is not known. In a pull that is all of them: they are
 * still to be judged. In a push it is what comes after now: whatever was before is what the parent is to lose.
 */
async function pendingBefore({ direction, source, target, channels }: SyncPlan): Promise<ReadonlyMap<ChannelName, Position>> {
  const known = await source.received();
  const at = direction === "pull" ? START : await target.now();
  return new Map(channels.filter((channel) => !known.has(channel)).map((channel) => [channel, at]));
}

/** From where on the target's own changes travel, in channels in which they never have: what it holds besides came from the source just now. */
function otherWay({ flow, copied }: SyncPlan, first: ReadonlyMap<ChannelName, Position>): HandedOver["starts"] {
  const bothWays = new Set(flow.groups.flat().flatMap(({ name, bothWays: both }) => (both ? [name] : [])));
  return [...first]
    .filter(([channel]) => bothWays.has(channel))
    .map(([channel, at]) => ({
      channel,
      tables: copied.filter(({ shape }) => shape.channel === channel).map(({ shape }) => shape.table),
      at,
    }));
}

async function header(
  { source, target, channels }: SyncPlan,
  tick: Tick,
  first: ReadonlyMap<ChannelName, Position>,
): Promise<PacketHeader> {
  const state = await target.target.peer(source.name);
  const { epoch } = await source.identity();
  const seen = tick.seen[target.name] ?? {};
  return {
    protocol: 1,
    source: source.name,
    target: target.name,
    epoch,
    number: packetNumber(state.number + 1n),
    previous: state.digest,
    kind: "fill",
    channels,
    after: tick.position,
    upTo: tick.position,
    ...sealedAsOf(tick),
    tables: [],
    seen: Object.fromEntries(
      channels.flatMap((channel) => {
        const at = seen[channel] ?? first.get(channel);
        return at === undefined || at === START ? [] : [[channel, at]];
      }),
    ),
  };
}

const wholeChannels = ({ flow, tables }: SyncPlan): readonly ChannelName[] =>
  flow.groups.flat().flatMap((channel) => (channel.tables.every((table) => tables.includes(table)) ? [channel.name] : []));

/** The rows are taken as they are, whichever way they go. */
async function context({ plan, judge, now = Date.now }: TermsOptions): Promise<ApplyContext> {
  const { source, target } = plan;
  const [from, to] = await Promise.all([source.identity(), target.installation.identity()]);
  return {
    from: "parent",
    taken: plan.direction === "pull" ? "parent" : "child",
    ...(plan.copied[0] !== undefined && { asked: plan.copied[0].shape.engine }),
    wholeChannels: wholeChannels(plan),
    rules: plan.flow.rules,
    judge,
    clockOffsetMs: usableOffset(from.clockOffsetMs - to.clockOffsetMs),
    nowMs: now() + to.clockOffsetMs,
  };
}
