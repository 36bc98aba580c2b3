import type { z } from "zod";
import { reportJson } from "../link/report.ts";
import type { EdgePlace } from "./edge-desk.ts";
import type { edgeStatusSchema } from "./schemas/edges.ts";
import { toldWishes } from "./told-wishes.ts";

/**
 * Where the hub is with an edge. Changes nothing but that the two are known to each other. The only wish that it tells is the one that exchanges may be in the way of:
 * their memories no longer agree.
 */
export async function edgeStatus(place: EdgePlace, features: readonly string[]): Promise<z.input<typeof edgeStatusSchema>> {
  const { node, end, link, manifest, manifestId } = place;
  const report = await end.report();
  const { resync = null } = await toldWishes(place, features, { oldMs: 0 });
  const { state } = report;
  const { peers } = await node.installation.status();
  const peer = peers.find(({ name }) => name === link.child);
  return {
    node: link.child,
    group: manifest.group,
    parent: link.parent,
    state: peer?.state ?? "joining",
    topology: manifestId,
    received: {
      packet: state.number.toString(),
      digest: state.digest,
      epoch: state.epoch,
      channels: Object.fromEntries([...state.channels].map(([channel, { position }]) => [channel, position.toString()])),
      tables: [...state.tables],
    },
    acknowledged_packet: (peer?.sentPacket ?? 0n).toString(),
    pending_changes: peer?.pendingChanges ?? 0,
    parked_changes: peer?.parkedChanges ?? 0,
    open_conflicts: peer?.openConflicts ?? 0,
    last_sync_in: peer?.lastSyncIn ?? null,
    last_sync_out: peer?.lastSyncOut ?? null,
    resync: resync === null ? null : { ...resync, tables: [...resync.tables] },
    report: reportJson(report),
  };
}
