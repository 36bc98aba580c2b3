import type { PacketHeader } from "../../change/packet.ts";
import { shapeIds } from "./captured-tables.ts";
import { OWN_OR_OFFERED } from "./concurrent-changes.ts";
import type { Connection } from "./connection.ts";
import type { IncomingTable } from "./incoming.ts";
import { prepared } from "./rows.ts";

/**
 * Whether this node has changes of a table, or rows offered to its parent, that the parent had not judged when it made the packet. A row that is not there may then
 * be one that was deleted here: the parent's insert must not bring it back without a look at the log. The write lock is held, so
 * the answer stays true for the whole packet.
 */
export class Unjudged {
  readonly #connection: Connection;
  readonly #seen: PacketHeader["seen"];
  readonly #peerId: number;
  readonly #deleted = new Map<IncomingTable, boolean>();
  readonly #changed = new Map<IncomingTable, boolean>();

  constructor(options: { readonly connection: Connection; readonly seen: PacketHeader["seen"]; readonly peerId: number }) {
    this.#connection = options.connection;
    this.#seen = options.seen;
    this.#peerId = options.peerId;
  }

  any(table: IncomingTable): boolean {
    return this.#known(this.#changed, table, "('I', 'U', 'D', 'H')");
  }

  /** Only rows that are, or may be, gone. */
  anyDeleted(table: IncomingTable): boolean {
    return this.#known(this.#deleted, table, "('D', 'H')");
  }

  #known(known: Map<IncomingTable, boolean>, table: IncomingTable, ops: string): boolean {
    let found = known.get(table);
    if (found === undefined) {
      found = table.rule.oneWay !== true && this.#look(table, ops);
      known.set(table, found);
    }
    return found;
  }

  #look({ table, rule }: IncomingTable, ops: string): boolean {
    const found = prepared(
      this.#connection,
      `select exists (select 1 from tombolo_change
        where seq > ? and table_id in (${shapeIds(this.#connection, table.id).join(", ")}) and ${OWN_OR_OFFERED} and op in ${ops})`,
    )
      .pluck()
      .get(this.#seen[rule.channel] ?? 0n, this.#peerId, this.#peerId);
    return found === 1n;
  }
}
