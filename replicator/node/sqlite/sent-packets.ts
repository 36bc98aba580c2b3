import type { NodeName } from "../../change/names.ts";
import { checkConfirmed, type SentPacket, type SentPackets } from "../sent-packets.ts";
import { type Clock, isoTime } from "./clock.ts";
import type { Connection, DatabaseFile } from "./connection.ts";

/** See `SentPackets`. */
export class SqliteSentPackets implements SentPackets {
  readonly #file: DatabaseFile;
  readonly #clock: Clock;

  constructor(options: { readonly file: DatabaseFile; readonly clock: Clock }) {
    this.#file = options.file;
    this.#clock = options.clock;
  }

  async note(peer: NodeName, packet: SentPacket): Promise<void> {
    await this.#file.write((connection) => note(connection, { peer, packet, at: isoTime(this.#clock()) }));
  }

  async confirm(peer: NodeName, said: SentPacket): Promise<void> {
    const { noted, acknowledged } = this.#file.read((connection) => sentTo(connection, peer));
    const found = checkConfirmed(peer, said, { noted, acknowledged });
    if (found === "new") await this.note(peer, said);
    else if (noted.some(({ number, digest }) => number < said.number || (number === said.number && digest !== said.digest))) {
      await this.#file.write((connection) => {
        connection
          .prepare(
            `delete from tombolo_sent_packet where peer_id = (select id from tombolo_peer where name = ?)
                and (packet_no < ? or (packet_no = ? and digest <> ?))`,
          )
          .run(peer, said.number, said.number, said.digest);
      });
    }
  }
}

function note(connection: Connection, { peer, packet, at }: { peer: NodeName; packet: SentPacket; at: string }): void {
  connection
    .prepare(
      "insert or ignore into tombolo_sent_packet (peer_id, packet_no, digest, sent_at) select id, ?, ?, ? from tombolo_peer where name = ?",
    )
    .run(packet.number, packet.digest, at, peer);
}

function sentTo(connection: Connection, peer: NodeName): { readonly noted: readonly SentPacket[]; readonly acknowledged: bigint } {
  const rows = connection
    .prepare(
      `select p.sent_packet_no, s.packet_no, s.digest from tombolo_peer p left join tombolo_sent_packet s on s.peer_id = p.id where p.name = ?`,
    )
    .raw()
    .all(peer) as [bigint, bigint | null, string][];
  return {
    noted: rows.flatMap(([, number, digest]) => (number === null ? [] : [{ number, digest }])),
    acknowledged: rows[0]?.[0] ?? 0n,
  };
}
