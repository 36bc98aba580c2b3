import type pg from "pg";
import type { NodeName } from "../../change/names.ts";
import { checkConfirmed, type SentPacket, type SentPackets } from "../sent-packets.ts";
import { postgresError } from "./postgres-error.ts";

/** See `SentPackets`. */
export class PostgresSentPackets implements SentPackets {
  readonly #pool: pg.Pool;

  constructor(pool: pg.Pool) {
    this.#pool = pool;
  }

  async note(peer: NodeName, { number, digest }: SentPacket): Promise<void> {
    try {
      await this.#pool.query(
        `insert into tombolo.sent_packet (peer_id, packet_no, digest) select id, $2, $3 from tombolo.peer where name = $1
          on conflict do nothing`,
        [peer, number.toString(), digest],
      );
    } catch (error) {
      throw postgresError(error);
    }
  }

  async confirm(peer: NodeName, said: SentPacket): Promise<void> {
    try {
      await this.#confirm(peer, said);
    } catch (error) {
      throw postgresError(error);
    }
  }

  async #confirm(peer: NodeName, said: SentPacket): Promise<void> {
    const { rows } = await this.#pool.query<{ acknowledged: string; packet_no: string | null; digest: string }>({
      name: "tombolo_sent_packets",
      text: `select p.sent_packet_no as acknowledged, s.packet_no, s.digest
               from tombolo.peer p left join tombolo.sent_packet s on s.peer_id = p.id where p.name = $1`,
      values: [peer],
    });
    const noted = rows.flatMap((row) => (row.packet_no === null ? [] : [{ number: BigInt(row.packet_no), digest: row.digest }]));
    const found = checkConfirmed(peer, said, { noted, acknowledged: BigInt(rows[0]?.acknowledged ?? 0) });
    if (found === "new") await this.note(peer, said);
    else if (noted.some(({ number, digest }) => number < said.number || (number === said.number && digest !== said.digest))) {
      await this.#pool.query(
        `delete from tombolo.sent_packet where peer_id = (select id from tombolo.peer where name = $1)
            and (packet_no < $2 or (packet_no = $2 and digest <> $3))`,
        [peer, said.number.toString(), said.digest],
      );
    }
  }
}
