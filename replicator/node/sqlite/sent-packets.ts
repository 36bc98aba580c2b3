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
    const noted = this.#file.read((connection) => notedFor(connection, peer));
    const found = checkConfirmed(peer, said, noted);
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

const notedFor = (connection: Connection, peer: NodeName): SentPacket[] =>
  (
    connection
      .prepare("select packet_no, digest from tombolo_sent_packet where peer_id = (select id from tombolo_peer where name = ?)")
      .raw()
      .all(peer) as [bigint, string][]
  ).map(([number, digest]) => ({ number, digest }));
