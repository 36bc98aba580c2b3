import type { PacketHeader } from "../../change/packet.ts";
import type { Connection } from "./connection.ts";
import type { IncomingTable } from "./incoming.ts";
import { prepared } from "./rows.ts";

/**
 * Whether this node has changes of a table that its parent had not judged when it made the packet. A row that is not there may then
 * be one that was deleted here: the parent's insert must not bring it back without a look at the log. The write lock is held, so
 * the answer stays true for the whole packet.
 */
export class Unjudged {
  readonly #connection: Connection;
  readonly #seen: PacketHeader["seen"];
  readonly #peerId: number;
  readonly #known = new Map<IncomingTable, boolean>();

  constructor(options: { readonly connection: Connection; readonly seen: PacketHeader["seen"]; readonly peerId: number }) {
    this.#connection = options.connection;
    this.#seen = options.seen;
    this.#peerId = options.peerId;
  }

  any(table: IncomingTable): boolean {
    let known = this.#known.get(table);
    if (known === undefined) {
      known = table.rule.oneWay !== true && this.#look(table);
      this.#known.set(table, known);
    }
    return known;
  }

  #look({ table, rule }: IncomingTable): boolean {
    const found = prepared(
      this.#connection,
      `select exists (select 1 from tombolo_change
        where seq > ? and table_id = ? and target is null and (origin is null or origin <> ?) and op in ('D', 'H'))`,
    )
      .pluck()
      .get(this.#seen[rule.channel] ?? 0n, table.id, this.#peerId);
    return found === 1n;
  }
}
