import { randomUUID } from "node:crypto";
import { type ChannelName, channelName, type NodeName, type Position, packetNumber, position, tableName } from "../../change/names.ts";
import { type StoredProgress, sealedIn } from "../progress.ts";
import { cameBetween, type PeerMarks, type Rejoin, type Restart } from "../rejoin.ts";
import type { DatabaseFile } from "./connection.ts";
import { setForwards } from "./copy-runs.ts";
import { purgedUpTo } from "./purge.ts";
import { newestEntry, sealOf } from "./tick.ts";

export class SqliteRejoin implements Rejoin {
  readonly #file: DatabaseFile;

  constructor(options: { readonly file: DatabaseFile }) {
    this.#file = options.file;
  }

  async marks(peer: NodeName): Promise<PeerMarks | null> {
    return this.#file.read((connection) => {
      const row = connection
        .prepare("select id, received, sent, received_packet_no, sent_packet_no, state from tombolo_peer where name = ?")
        .raw()
        .get(peer) as [bigint, string, string, bigint, bigint, string] | undefined;
      if (row === undefined) return null;
      const [id, received, sent, receivedPacket, sentPacket, state] = row;
      const seeded = connection
        .prepare("select table_name, seeded_at from tombolo_peer_table where peer_id = ? and seeded_at is not null")
        .raw()
        .all(id) as [string, bigint][];
      const progress = JSON.parse(received) as StoredProgress;
      return {
        received: positions(Object.entries(progress).map(([channel, at]) => [channel, at.position])),
        sealed: sealedIn(progress),
        sent: positions(Object.entries(JSON.parse(sent) as { [channel: string]: string })),
        receivedPacket: packetNumber(receivedPacket),
        sentPacket: packetNumber(sentPacket),
        seeded: new Map(seeded.map(([table, at]) => [tableName(table), position(at)])),
        mustResync: state === "must_resync",
      };
    });
  }

  async hasSealed(at: Position, sealedAs?: string): Promise<boolean> {
    const sealed = this.#file.read((connection) => sealOf(connection, at));
    return sealed !== null && (sealedAs === undefined || sealed === sealedAs);
  }

  async renew(): Promise<void> {
    await this.#file.write((connection) => connection.prepare("update tombolo_node set epoch = ?").run(randomUUID()));
  }

  restart(peer: NodeName, at: Restart): Promise<ReadonlyMap<ChannelName, Position>> {
    return this.#file.write((connection) => {
      const purged = purgedUpTo(connection);
      const newest = newestEntry(connection);
      const sent = new Map(
        [...at.sent].map(([channel, wanted]): [ChannelName, Position] => {
          const oldest = purged.get(channel) ?? 0n;
          const reached = wanted < oldest ? oldest : wanted;
          return [channel, position(reached > newest ? newest : reached)];
        }),
      );
      const texts = (map: ReadonlyMap<ChannelName, Position>): { [channel: string]: string } =>
        Object.fromEntries([...map].map(([channel, place]) => [channel, place.toString()]));
      const received = Object.fromEntries([...at.received].map(([channel, place]) => [channel, { position: place.toString() }]));
      const { changes } = connection
        .prepare(
          `update tombolo_peer
              set epoch = ?, received_packet_no = 0, received_digest = '', received_receipt = null, received = ?, judged = ?, sent_packet_no = 0, sent = ?,
                  state = 'snapshot', reason = 'its positions begin anew: a full sync is to follow'
            where name = ? and received_packet_no = coalesce(?, received_packet_no)`,
        )
        .run(
          ...[at.epoch ?? null, JSON.stringify(received), JSON.stringify(texts(sent)), JSON.stringify(texts(sent))],
          ...[peer, at.receivedPacket ?? null],
        );
      if (changes === 0 && at.receivedPacket !== undefined) throw cameBetween(peer);
      connection.prepare("delete from tombolo_sent_packet where peer_id = (select id from tombolo_peer where name = ?)").run(peer);
      connection.prepare("delete from tombolo_told where peer_id = (select id from tombolo_peer where name = ?)").run(peer);
      connection.prepare("delete from tombolo_compare_hold where peer_id = (select id from tombolo_peer where name = ?)").run(peer);
      return sent;
    });
  }

  async resume(peer: NodeName): Promise<void> {
    await this.#file.write((connection) =>
      connection
        .prepare("update tombolo_peer set state = 'live', reason = null where name = ? and state in ('snapshot', 'must_resync')")
        .run(peer),
    );
  }

  forget(peer: NodeName): Promise<boolean> {
    return this.#file.write((connection) => {
      const { changes } = connection.prepare("delete from tombolo_peer where name = ?").run(peer);
      setForwards(connection);
      return changes === 1;
    });
  }
}

const positions = (entries: readonly (readonly [string, string])[]): ReadonlyMap<ChannelName, Position> =>
  new Map(entries.map(([channel, at]) => [channelName(channel), position(at)]));
