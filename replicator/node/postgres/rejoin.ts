import type pg from "pg";
import { type ChannelName, channelName, type NodeName, type Position, packetNumber, position } from "../../change/names.ts";
import { type StoredProgress, sealedIn } from "../progress.ts";
import { cameBetween, type PeerMarks, type Rejoin, type Restart } from "../rejoin.ts";
import { transaction } from "./connection.ts";
import { FORWARDS } from "./copy-runs.ts";
import { clusterIdentity } from "./migrate.ts";
import { jsonByTable, tablePositions } from "./peers.ts";
import { postgresError } from "./postgres-error.ts";
import { sealOf } from "./tick-row.ts";

export class PostgresRejoin implements Rejoin {
  readonly #pool: pg.Pool;

  constructor(options: { readonly pool: pg.Pool }) {
    this.#pool = options.pool;
  }

  async marks(peer: NodeName): Promise<PeerMarks | null> {
    const { rows } = await this.#query<{ received: string; sent: string; got: string; gave: string; state: string; seeded: string }>(
      `select received::text, sent::text, received_packet_no as got, sent_packet_no as gave, state,
              ${jsonByTable("seeded_at")} as seeded
         from tombolo.peer p where name = $1`,
      [peer],
    );
    const [row] = rows;
    if (row === undefined) return null;
    const received = JSON.parse(row.received) as StoredProgress;
    return {
      received: positions(Object.entries(received).map(([channel, progress]) => [channel, progress.position])),
      sealed: sealedIn(received),
      sent: positions(Object.entries(JSON.parse(row.sent) as { [channel: string]: string })),
      receivedPacket: packetNumber(row.got),
      sentPacket: packetNumber(row.gave),
      seeded: tablePositions(row.seeded),
      mustResync: row.state === "must_resync",
    };
  }

  async hasSealed(at: Position, as?: string): Promise<boolean> {
    const { rows } = await this.#query<{ sealed: string | null }>(`select ${sealOf("$1")} as sealed`, [at.toString()]);
    const sealed = rows[0]?.sealed ?? null;
    return sealed !== null && (as === undefined || sealed === as);
  }

  async renew(): Promise<void> {
    const [system, database] = await clusterIdentity(this.#pool);
    await this.#query(
      `update tombolo.node set epoch = gen_random_uuid(), system_identifier = $1, database_oid = $2::oid, schema_oid = 'tombolo'::regnamespace`,
      [system, database],
    );
  }

  async restart(peer: NodeName, at: Restart): Promise<ReadonlyMap<ChannelName, Position>> {
    return transaction(this.#pool, async (client) => {
      const sent = new Map<ChannelName, Position>();
      for (const [channel, wanted] of at.sent) sent.set(channel, await reachable(client, wanted));
      const received = Object.fromEntries([...at.received].map(([channel, place]) => [channel, { position: place.toString() }]));
      const { rowCount } = await client.query(
        `update tombolo.peer
            set epoch = $4, received_packet_no = 0, received_digest = '', received_receipt = null, received = $2, sent_packet_no = 0, sent = $3,
                state = 'snapshot', reason = 'its positions begin anew: a full sync is to follow'
          where name = $1 and received_packet_no = coalesce($5, received_packet_no)`,
        [
          peer,
          JSON.stringify(received),
          JSON.stringify(Object.fromEntries([...sent].map(([channel, place]) => [channel, place.toString()]))),
          at.epoch ?? null,
          at.receivedPacket?.toString() ?? null,
        ],
      );
      if (rowCount === 0 && at.receivedPacket !== undefined) throw cameBetween(peer);
      await client.query("delete from tombolo.sent_packet where peer_id = (select id from tombolo.peer where name = $1)", [peer]);
      await client.query("delete from tombolo.told where peer_id = (select id from tombolo.peer where name = $1)", [peer]);
      await client.query("delete from tombolo.compare_hold where peer_id = (select id from tombolo.peer where name = $1)", [peer]);
      return sent;
    });
  }

  async resume(peer: NodeName): Promise<void> {
    await this.#query("update tombolo.peer set state = 'live', reason = null where name = $1 and state in ('snapshot', 'must_resync')", [
      peer,
    ]);
  }

  async forget(peer: NodeName): Promise<boolean> {
    return transaction(this.#pool, async (client) => {
      const { rowCount } = await client.query("delete from tombolo.peer where name = $1", [peer]);
      await client.query(FORWARDS);
      return rowCount === 1;
    });
  }

  async #query<T extends pg.QueryResultRow>(text: string, values: unknown[]): Promise<pg.QueryResult<T>> {
    try {
      return await this.#pool.query<T>(text, values);
    } catch (error) {
      throw postgresError(error);
    }
  }
}

const positions = (entries: readonly (readonly [string, string])[]): ReadonlyMap<ChannelName, Position> =>
  new Map(entries.map(([channel, at]) => [channelName(channel), position(at)]));

/** A position is the number of a tick that is still there. */
async function reachable(client: pg.ClientBase, wanted: Position): Promise<Position> {
  if (wanted === 0n) return wanted;
  const { rows } = await client.query<{ position: string | null }>(
    "select coalesce((select min(position) from tombolo.tick where position >= $1::bigint), (select max(position) from tombolo.tick)) as position",
    [wanted.toString()],
  );
  return position(rows[0]?.position ?? 0);
}
