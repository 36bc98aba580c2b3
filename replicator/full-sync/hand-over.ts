import { setTimeout as sleep } from "node:timers/promises";
import { usableOffset } from "../change/clock.ts";
import { TomboloError } from "../change/error.ts";
import { type ChannelName, type Position, packetNumber, START } from "../change/names.ts";
import type { PacketHeader, Receipt } from "../change/packet.ts";
import { createJudge } from "../conflict/judge.ts";
import type { Tick } from "../node/change-log.ts";
import type { HandOver } from "../node/full-copy.ts";
import type { ApplyContext } from "../node/target.ts";
import type { Copying } from "./copying.ts";
import type { Lifeline } from "./lifeline.ts";
import type { FullSyncOptions } from "./options.ts";
import type { SyncPlan } from "./sync-plan.ts";

/** A link that moves on while it is handed over stops within a second or two. */
const ATTEMPTS = 20;
const PAUSE_MS = 200;
const AGAIN = new Set(["PACKET_GAP", "PACKET_FORK", "FULL_SYNC_MOVED"]);

export interface HandOverOptions extends Pick<FullSyncOptions, "watcher" | "modules" | "signal" | "now"> {
  readonly plan: SyncPlan;
  readonly life: Lifeline;
  readonly copying: Copying;
}

/** Makes the target what is staged, at a tick that nothing at the target is ahead of. Null when whoever was asked does not want it. */
export async function handOver(options: HandOverOptions): Promise<Receipt | null> {
  const { plan, life, copying, signal, watcher } = options;
  const { source, target } = plan.flow;
  await life.at({ phase: "apply" });
  const numbers = plan.direction === "pull" ? await plan.scopes.numbers(plan.tables) : new Map();
  const first = await pendingBefore(plan);
  const build = async (tick: Tick): Promise<HandOver> => ({
    header: await header(plan, tick, first),
    context: await context(options),
    within: plan.within,
    scopes: numbers,
  });
  const asked = await copying.stage.compare(await build(await copying.copy()));
  if (!(await watcher.goAhead(asked))) return null;
  // the link waits from here on
  await life.at({ phase: "hand_over" });
  for (let attempt = 1; ; attempt++) {
    signal.throwIfAborted();
    try {
      const tick = await copying.copy();
      const receipt = await copying.stage.handOver(await build(tick));
      // the source knows of it before anyone reads on from there
      await source.log.acknowledge(target.name, wholeChannels(plan), tick.position, receipt.number);
      await source.rejoin.resume(target.name);
      await source.log.refresh(target.name, receipt.wanted);
      await plan.scopes.arrived(numbers, true);
      await startOtherWay(plan, first);
      return receipt;
    } catch (error) {
      if (!(error instanceof TomboloError) || !AGAIN.has(error.code) || attempt >= ATTEMPTS) throw error;
      await sleep(PAUSE_MS);
    } finally {
      await life.at({ phase: "hand_over" });
    }
  }
}

/**
 * In a channel that the target's own changes have never travelled in, which of them the source has not seen is not known. In a pull that is all of them: they are
 * still to be judged. In a push it is what comes after now: whatever was before is what the parent is to lose.
 */
async function pendingBefore({ direction, flow, channels }: SyncPlan): Promise<ReadonlyMap<ChannelName, Position>> {
  const known = (await flow.source.target.peer(flow.target.name)).channels;
  const at = direction === "pull" ? START : (await flow.target.log.tick()).position;
  return new Map(channels.filter((channel) => !known.has(channel)).map((channel) => [channel, at]));
}

/** From where on the target's own changes travel, in channels in which they never have: what it holds besides came from the source just now. */
async function startOtherWay({ flow, copied }: SyncPlan, first: ReadonlyMap<ChannelName, Position>): Promise<void> {
  const { source, target } = flow;
  const bothWays = new Set(flow.groups.flat().flatMap(({ name, bothWays: both }) => (both ? [name] : [])));
  for (const [channel, at] of first) {
    const tables = copied.filter(({ shape }) => shape.channel === channel).map(({ shape }) => shape.table);
    if (bothWays.has(channel)) await source.target.start(target.name, channel, tables, at);
  }
}

async function header({ flow, channels }: SyncPlan, tick: Tick, first: ReadonlyMap<ChannelName, Position>): Promise<PacketHeader> {
  const { source, target } = flow;
  const state = await target.target.peer(source.name);
  const { epoch } = await source.installation.identity();
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
async function context({ plan, modules, now = Date.now }: HandOverOptions): Promise<ApplyContext> {
  const { source, target } = plan.flow;
  const [from, to] = await Promise.all([source.installation.identity(), target.installation.identity()]);
  return {
    from: "parent",
    taken: plan.direction === "pull" ? "parent" : "child",
    wholeChannels: wholeChannels(plan),
    rules: plan.flow.rules,
    judge: createJudge(modules),
    clockOffsetMs: usableOffset(from.clockOffsetMs - to.clockOffsetMs),
    nowMs: now() + to.clockOffsetMs,
  };
}
