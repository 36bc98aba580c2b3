import { keyFor } from "../../change/key-text.ts";
import type { Packet, Receipt } from "../../change/packet.ts";
import { parseRow } from "../../change/value.ts";
import { advanced, started, startedAnew } from "../progress.ts";
import type { ApplySession } from "./apply-session.ts";
import { isoTime } from "./clock.ts";
import { markReceived, type StoredPeer } from "./peers.ts";

/** A full sync's rows, and so their keys, are in the form of this node; the source is asked in its own. */
function asked({ outcome: { wanted }, context }: ApplySession): Receipt["wanted"] {
  if (context.asked !== "postgres") return wanted;
  return wanted.map(({ table, key }) => ({ table, key: keyFor("postgres", parseRow(key)) }));
}

export function finish(session: ApplySession, peer: StoredPeer, packet: Packet): Receipt {
  const { header } = packet;
  const { outcome, connection } = session;
  const digest = packet.digest();
  const receipt: Receipt = {
    number: header.number,
    digest,
    duplicate: false,
    applied: outcome.applied,
    conflicts: outcome.conflicts,
    parked: outcome.parked,
    wanted: asked(session),
  };
  let { received } = peer;
  if (header.kind === "fill") {
    for (const channel of header.channels) {
      const own = header.tables.filter((shape) => shape.channel === channel).map((shape) => shape.table);
      const isWhole = session.context.wholeChannels?.includes(channel) === true;
      received = isWhole ? startedAnew(received, channel, header) : started(received, channel, own, header);
    }
    markReceived(
      connection,
      peer.id,
      header.tables.map((shape) => shape.table),
      header.scopes,
    );
  } else {
    received = advanced(received, header.channels, header);
  }
  const seen = Object.fromEntries(Object.entries(header.seen).map(([channel, at]) => [channel, at.toString()]));
  connection
    .prepare(
      `update tombolo_peer set epoch = ?, received_packet_no = ?, received_digest = ?, received_receipt = ?, received = ?, last_sync_in = ?,
              judged = json_patch(judged, ?), state = case when state in ('paused', 'must_resync', 'snapshot') then state else 'live' end
        where id = ?`,
    )
    .run(
      header.epoch,
      header.number,
      digest,
      JSON.stringify({ ...receipt, number: header.number.toString() }),
      JSON.stringify(received),
      isoTime(session.clock()),
      JSON.stringify(seen),
      peer.id,
    );
  return receipt;
}

/** Adds what a retry wants to what the last packet wanted. */
export function wantToo({ connection, peer, outcome }: ApplySession): void {
  const add = connection.prepare(
    "update tombolo_peer set received_receipt = json_insert(received_receipt, '$.wanted[#]', json(?)) where id = ?",
  );
  for (const row of outcome.wanted) add.run(JSON.stringify(row), peer.id);
}
