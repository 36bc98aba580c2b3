import type { Change } from "../../replicator/change/change.ts";
import { type ChannelName, epoch, type NodeName, type Position, packetNumber, START } from "../../replicator/change/names.ts";
import type { Packet } from "../../replicator/change/packet.ts";
import { packet } from "../../replicator/change/packet-seal.ts";
import type { TableShape } from "../../replicator/change/shape.ts";
import type { PeerState } from "../../replicator/node/target.ts";

/** A packet of changes as a test says it, in one channel: the next one of a source of which the target has `state`. */
export const told = ({
  source,
  target,
  channel,
  state,
  table,
  seen,
  changes,
}: {
  readonly source: NodeName;
  readonly target: NodeName;
  readonly channel: ChannelName;
  readonly state: PeerState;
  readonly table: TableShape;
  readonly seen: Position;
  readonly changes: readonly Change[];
}): Packet =>
  packet({
    header: {
      protocol: 1,
      source,
      target,
      epoch: epoch("00000000-0000-4000-8000-000000000000"),
      number: packetNumber(state.number + 1n),
      previous: state.digest,
      kind: "changes",
      channels: [channel],
      after: START,
      upTo: START,
      tables: [table],
      seen: { [channel]: seen },
    },
    parts: (async function* () {
      yield changes;
    })(),
  });
