import type { PacketHeader } from "../../change/packet.ts";
import type { PeerRole } from "../target.ts";
import { type Clock, isoTime } from "./clock.ts";
import type { Connection } from "./connection.ts";
import type { Image } from "./image.ts";
import type { IncomingChange, IncomingTable } from "./incoming.ts";
import { putRefresh } from "./refresh.ts";
import { type Bindable, keyImage, prepared } from "./rows.ts";

interface UnseenOptions {
  readonly connection: Connection;
  readonly header: PacketHeader;
  readonly peerId: number;
  readonly from: PeerRole;
  readonly clock: Clock;
}

/**
 * The rows about which this parent's log says something that the child had not seen when it sealed its packet. When a change of the child
 * is applied to such a row, the child is sent the row as a refresh: what it is still to receive is older than its own change, and would
 * otherwise be the last that it hears (see `ReadRequest.reader`).
 */
export class UnseenRows {
  readonly #options: UnseenOptions;
  readonly #keys = new Map<IncomingTable, ReadonlySet<Image>>();

  constructor(options: UnseenOptions) {
    this.#options = options;
  }

  /** To be called when a change of the child has been applied. */
  applied(incoming: IncomingChange): void {
    if (this.#options.from !== "child" || !this.has(incoming)) return;
    const { connection, peerId, clock } = this.#options;
    putRefresh(connection, { table: incoming.table.table, key: incoming.key, peer: peerId, at: isoTime(clock()) });
  }

  has(incoming: IncomingChange): boolean {
    let keys = this.#keys.get(incoming.table);
    if (keys === undefined) {
      keys = this.#unseen(incoming.table);
      this.#keys.set(incoming.table, keys);
    }
    return keys.size > 0 && keys.has(quickImage(incoming.key) ?? keyImage(this.#options.connection, incoming.table.table, incoming.key));
  }

  #unseen({ table, rule }: IncomingTable): Set<Image> {
    const { connection, header, peerId } = this.#options;
    const keys = prepared(
      connection,
      `select distinct key from tombolo_change
        where seq > ? and table_id = ? and (target is null or target = ?) and (origin is null or origin <> ?)`,
    );
    return new Set(keys.pluck().all(header.seen[rule.channel] ?? 0n, table.id, peerId, peerId) as Image[]);
  }
}

/** What quote() prints, for the usual keys; undefined where SQLite has to be asked. */
function quickImage(key: readonly Bindable[]): Image | undefined {
  const literals: string[] = [];
  for (const value of key) {
    if (typeof value === "bigint") literals.push(value.toString());
    else if (typeof value === "string" && !value.includes("\0")) literals.push(`'${value.replaceAll("'", "''")}'`);
    else return undefined;
  }
  return literals.join(",");
}
