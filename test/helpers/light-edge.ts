import { randomUUID } from "node:crypto";
import { type Dispatcher, request } from "undici";
import type { Change } from "../../replicator/change/change.ts";
import { epoch, type NodeName, nodeName, packetNumber, type TableName } from "../../replicator/change/names.ts";
import type { PacketHeader } from "../../replicator/change/packet.ts";
import { decodePacket, encodePacket } from "../../replicator/change/packet-codec.ts";
import { packet } from "../../replicator/change/packet-seal.ts";
import type { TableShape } from "../../replicator/change/shape.ts";
import { answerHead, answerTail, EXCHANGE_TYPE, ExchangeReader, jsonSection } from "../../replicator/link/exchange.ts";
import { afterPacket } from "../../replicator/link/peer-progress.ts";
import { NOTHING_REFUSED, reportJson } from "../../replicator/link/report.ts";
import type { PeerState } from "../../replicator/node/target.ts";

/** One of a thousand: speaks as an edge does, over real HTTP, but has no database: it remembers where it is, and counts what comes. */
export class LightEdge {
  readonly name: NodeName;
  /** Changes that came. */
  received = 0;
  readonly #options: { readonly hub: string; readonly token: string; readonly dispatcher: Dispatcher };
  readonly #epoch = epoch(randomUUID());
  #state: PeerState = {
    ...{ epoch: null, number: packetNumber(0n), digest: "", channels: new Map(), seen: {}, tables: new Set() },
    ...{ startedAt: new Map(), scopes: new Map(), paused: false, hasParked: false, wanted: [] },
  };
  /** Where the hub is. */
  #hub: PeerState | undefined;
  #upTo = 0n;

  constructor(options: { readonly name: string; readonly hub: string; readonly token: string; readonly dispatcher: Dispatcher }) {
    this.name = nodeName(options.name);
    this.#options = options;
  }

  /** One exchange; `changes` go up in a packet of `shape`'s table. Answers the status: 200, or what the hub refused with. */
  async exchange(
    options: {
      readonly waitSeconds?: number;
      readonly signal?: AbortSignal;
      readonly send?: { readonly shape: TableShape; readonly changes: readonly Omit<Change, "table" | "changedAt">[] };
    } = {},
  ): Promise<number> {
    const { waitSeconds = 0, signal, send } = options;
    const { hub, token, dispatcher } = this.#options;
    const body: Buffer[] = [jsonSection({ ...this.#head(), final: false, wait_seconds: waitSeconds, starts: this.#starts(send?.shape) })];
    if (send !== undefined) for await (const piece of this.#packet(send)) body.push(piece);
    const answer = await request(`${hub}/v1/nodes/${this.name}/exchange`, {
      ...{ method: "POST", dispatcher, headersTimeout: 90_000, bodyTimeout: 90_000, body: Buffer.concat(body) },
      headers: { authorization: `Bearer ${token}`, "content-type": EXCHANGE_TYPE },
      ...(signal && { signal }),
    });
    if (answer.statusCode !== 200) {
      await answer.body.dump();
      return answer.statusCode;
    }
    const reader = new ExchangeReader(answer.body);
    const { report } = await reader.json(answerHead);
    this.#hub = report.state;
    for await (const bytes of reader.packets()) {
      const { header, parts, digest } = await decodePacket(bytes);
      for await (const part of parts) this.received += part.length;
      this.#state = afterPacket(this.#state, header, digest());
    }
    await reader.json(answerTail);
    return 200;
  }

  #head(): object {
    return { report: reportJson({ state: this.#state, clockMs: Date.now(), refused: NOTHING_REFUSED, asked: [], shapes: [] }) };
  }

  #starts(shape: TableShape | undefined): object[] {
    if (shape === undefined || this.#hub?.tables.has(shape.table as TableName)) return [];
    return [{ channel: shape.channel, tables: [shape.table], at: "0" }];
  }

  #packet({ shape, changes }: { readonly shape: TableShape; readonly changes: readonly Omit<Change, "table" | "changedAt">[] }) {
    const after = this.#upTo;
    this.#upTo += 1n;
    const header: PacketHeader = {
      ...{ protocol: 1, source: this.name, target: nodeName("hub"), epoch: this.#epoch, kind: "changes" },
      number: packetNumber((this.#hub?.number ?? 0n) + 1n),
      previous: this.#hub?.digest ?? "",
      channels: [shape.channel],
      ...{ after: after as never, upTo: this.#upTo as never },
      tables: [shape],
      seen: Object.fromEntries([...this.#state.channels].map(([channel, { position }]) => [channel, position])),
    };
    async function* parts() {
      yield changes.map((change) => ({ ...change, table: 0, changedAt: Date.now() * 1000 }));
    }
    return encodePacket(packet({ header, parts: parts() }), "none");
  }
}
