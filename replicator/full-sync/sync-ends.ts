import type { ChannelName, NodeName, PacketNumber, Position, ScopeNumber, TableName } from "../change/names.ts";
import type { Receipt } from "../change/packet.ts";
import type { LinkScopes } from "../link/link-scopes.ts";
import type { CopiedTable, CopySnapshot, CopyStage, FullCopy, NearSnapshot } from "../node/full-copy.ts";
import type { FullSyncRuns } from "../node/full-sync-runs.ts";
import type { NodeIdentity } from "../node/identity.ts";
import type { Node } from "../node/node.ts";
import { positionNow } from "../node/position-now.ts";

/** What a hand-over came to, for the source to know. */
export interface HandedOver {
  readonly position: Position;
  /** See `Tick`. */
  readonly sealedAs?: string;
  readonly receipt: Receipt;
  /** Channels all of whose tables were brought: they stand at `position`. */
  readonly wholeChannels: readonly ChannelName[];
  readonly scopes: ReadonlyMap<TableName, ScopeNumber>;
  /** From where on the target's own changes travel, in channels in which they never have. */
  readonly starts: readonly { readonly channel: ChannelName; readonly tables: readonly TableName[]; readonly at: Position }[];
}

/** The node that the rows of a full sync come from: a database, or a hub behind HTTP. */
export interface SyncSource {
  readonly name: NodeName;
  readonly runs: Pick<FullSyncRuns, "begin" | "beat" | "end">;
  /** `staged`: what the target has already. */
  open(tables: readonly CopiedTable[], staged: Pick<CopyStage, "position" | "progress">): Promise<CopySnapshot>;
  /** Where that is a database that this process has opened. */
  readonly openNear?: (tables: readonly CopiedTable[]) => Promise<NearSnapshot>;
  /** The clock is told against this process's clock. */
  identity(): Promise<Pick<NodeIdentity, "epoch" | "clockOffsetMs">>;
  /** Channels in which it has received changes of the target. */
  received(): Promise<ReadonlySet<ChannelName>>;
  /** The scopes that the target is at afterwards; of a pull. */
  scopes(): Promise<ReadonlyMap<TableName, ScopeNumber>>;
  /** The target is about to apply the packet of this number, made where the target is. Before every attempt. */
  announce(number: PacketNumber): Promise<void>;
  /** The target has. Before anyone reads on from there. */
  handedOver(done: HandedOver): Promise<void>;
}

/** The node that becomes a copy: a database, or a hub behind HTTP. */
export interface SyncTarget {
  readonly name: NodeName;
  readonly copies: Pick<FullCopy, "stage" | "backUp" | "filler"> & {
    readonly runs: Pick<FullSyncRuns, "begin" | "beat" | "end">;
  };
  readonly installation: { identity(): Promise<Pick<NodeIdentity, "clockOffsetMs">> };
  /** See `positionNow`. */
  now(): Promise<Position>;
  readonly rejoin: Pick<Node["rejoin"], "resume">;
  readonly target: Pick<Node["target"], "peer">;
}

/** A target in a database that this process has opened. */
export const localTarget = (node: Node): SyncTarget => {
  const { name, copies, installation, rejoin, target } = node;
  return { name, copies, installation, rejoin, target, now: () => positionNow(node) };
};

/** A source in a database that this process has opened. `scopes` is of a pull. */
export function localSource(
  source: Node,
  options: { readonly target: NodeName; readonly scopes: LinkScopes | null; readonly tables: readonly TableName[] },
): SyncSource {
  const { target, scopes, tables } = options;
  return {
    name: source.name,
    runs: source.copies.runs,
    open: (copied) => source.copies.open(copied),
    openNear: (copied) => source.copies.open(copied),
    identity: () => source.installation.identity(),
    received: async () => new Set((await source.target.peer(target)).channels.keys()),
    scopes: async () => (await scopes?.numbers(tables)) ?? new Map(),
    // the two see each other's packets
    announce: async () => undefined,
    async handedOver(done) {
      const { position, receipt, wholeChannels, scopes: numbers, starts } = done;
      await source.log.acknowledge(target, wholeChannels, position, receipt.number, { purge: false, read: done });
      await source.rejoin.resume(target);
      await source.log.refresh(target, receipt.wanted);
      await scopes?.arrived(numbers, true);
      for (const start of starts) await source.target.start(target, start.channel, start.tables, start.at);
    },
  };
}
