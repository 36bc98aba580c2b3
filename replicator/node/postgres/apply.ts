import type pg from "pg";
import { TomboloError } from "../../change/error.ts";
import { failpoint } from "../../change/failpoints.ts";
import { type ChannelName, epoch, type NodeName, type Position, packetNumber, START, type TableName } from "../../change/names.ts";
import type { Packet, PacketHeader, Receipt } from "../../change/packet.ts";
import { readAhead } from "../../change/read-ahead.ts";
import type { TableShape } from "../../change/shape.ts";
import { guard } from "../exactly-once.ts";
import { advanced, type StoredProgress, started, startedAnew } from "../progress.ts";
import { mustStartOnce } from "../table-starts.ts";
import type { ApplyContext, RetryOptions, Target } from "../target.ts";
import { Foresight, isAsExpected, type Lead, leadOf, type Saying, sayingOf, unread } from "./ahead.ts";
import { ApplyGate } from "./apply-gate.ts";
import { applyPart, changesIn, prepareParts } from "./apply-part.ts";
import { type ApplySession, Outcome } from "./apply-session.ts";
import { AtOnce } from "./at-once.ts";
import type { CapturedTables } from "./captured-tables.ts";
import { transaction } from "./connection.ts";
import { givingWay } from "./giving-way.ts";
import { inOneGo } from "./in-one-go.ts";
import { IncomingTable } from "./incoming.ts";
import { judgedMeanwhile } from "./judged-meanwhile.ts";
import { LockOrder } from "./lock-order.ts";
import { type LockedPeer, lastSeen, lockPeer, type StoredReceipt } from "./locked-peer.ts";
import { blockedKeys, waitingRows } from "./parked.ts";
import { markReceived, markStarted, meet, peerState } from "./peers.ts";
import { postgresError } from "./postgres-error.ts";
import { countDue, RETRY_LIMIT, retryParkedChanges, retryParkedOfPacket } from "./retry-parked.ts";
import { rowScope } from "./row-scope.ts";
import { advanceSequences } from "./sequences.ts";
import type { LogGate } from "./slot/log-gate.ts";

/** What is done in a packet's transaction before its parts are looked at. */
export interface Beforehand {
  readonly settings: readonly string[];
  work(session: ApplySession, received: StoredProgress): Promise<void>;
}

interface Applying {
  readonly context: ApplyContext;
  readonly name: NodeName;
  /** Settings of the transaction. */
  readonly more?: readonly string[];
  readonly ahead?: Saying | null;
}

/** The receiving side of a Postgres node. */
export class PostgresTarget implements Target {
  readonly #pool: pg.Pool;
  readonly #tables: CapturedTables;
  readonly #hstore: string;
  readonly #name: NodeName;
  readonly #replicaRole: boolean;
  readonly #gate: LogGate;
  readonly #foresight = new Foresight();
  readonly #lockOrder = new LockOrder();

  /** `replicaRole`: whether this role may set session_replication_role. */
  constructor(options: {
    readonly name: NodeName;
    readonly pool: pg.Pool;
    readonly tables: CapturedTables;
    readonly hstore: string;
    readonly replicaRole: boolean;
    readonly gate: LogGate;
  }) {
    this.#gate = options.gate;
    this.#name = options.name;
    this.#replicaRole = options.replicaRole;
    this.#pool = options.pool;
    this.#tables = options.tables;
    this.#hstore = options.hstore;
  }

  async meet(peers: Parameters<Target["meet"]>[0]): Promise<void> {
    await this.#guarded(() => meet(this.#pool, peers));
  }

  async peer(name: NodeName): ReturnType<Target["peer"]> {
    return this.#guarded(() => peerState(this.#pool, name));
  }

  async start(peer: NodeName, channel: ChannelName, tables: readonly TableName[], at: Position): Promise<void> {
    await transaction(this.#pool, async (client) => {
      const locked = await lockPeer(client, peer);
      mustStartOnce(peer, await peerState(client, peer), { channel, tables, at });
      await client.query("update tombolo.peer set received = $2 where id = $1", [
        locked.id,
        JSON.stringify(started(locked.received, channel, tables, { upTo: at })),
      ]);
      await markReceived(client, locked.id, tables);
      await markStarted(client, locked.id, tables);
    });
  }

  async apply(packet: Packet, context: ApplyContext, beforehand?: Beforehand): Promise<Receipt> {
    const { header } = packet;
    const tables = await this.#guarded(() => this.#incomingTables(header, context));
    const iterator = readAhead(prepareParts(tables, packet.parts))[Symbol.asyncIterator]();
    try {
      // what is done beforehand decides what the parts are: a hand-over reads its own once the tables are locked
      const lead = beforehand === undefined ? await this.#guarded(() => leadOf(iterator)) : unread(iterator);
      const expected = beforehand === undefined && !this.#lockOrder.isKept ? this.#foresight.of(header, tables) : null;
      const ahead = expected === null ? null : this.#sayAhead(lead, { expected, header, context });
      // whatever happens, it may be otherwise now
      this.#foresight.forget(header.source);
      let next: LockedPeer | undefined;
      const receipt = await this.#applying(
        { context, name: header.source, ahead, more: beforehand?.settings ?? [] },
        async ({ client, peer, said, end }) => {
          let atOnce = said;
          // nothing else is asked before it is known to have gone well: in a transaction that has failed, only what comes of that would be seen
          if (atOnce !== null && expected !== null && !((await atOnce.went()) && isAsExpected(peer, expected))) {
            await atOnce.undo();
            atOnce = null;
          }
          const repeated = await guard(peer, packet, lead.parts);
          if (repeated !== null) return repeated;
          const session = await this.#session(client, peer, { header, context, tables, lead, atOnce });
          await beforehand?.work(session, peer.received);
          for await (const part of lead.parts) {
            const started = performance.now();
            await applyPart(session, part);
            context.onPart?.(changesIn(part), performance.now() - started);
            failpoint("apply.part");
          }
          // a row may have come before what it refers to, in an earlier part
          if (session.outcome.parked > 0) session.outcome.parked -= await retryParkedOfPacket(session, await this.#tables.all());
          const finished = await finish(session, peer, packet);
          next = finished.peer;
          failpoint("apply.before_commit");
          end(finished.statement);
          return finished.receipt;
        },
      );
      if (next !== undefined) this.#foresight.expect(header.source, next);
      return receipt;
    } finally {
      await iterator.return?.(undefined);
    }
  }

  /** What is said of a small packet ahead of the lock; null where an answer is needed first. */
  #sayAhead(
    { sets }: Lead,
    { expected, header, context }: { readonly expected: LockedPeer; readonly header: PacketHeader; readonly context: ApplyContext },
  ): Saying | null {
    const speaker = {
      peer: { id: expected.id, name: header.source, forwards: expected.forwards },
      ...{ header, context, hstore: this.#hstore, gate: new ApplyGate(this.#gate), quiet: this.#isQuiet(context) },
    };
    return sets !== null && AtOnce.suits(speaker, sets) ? sayingOf(speaker, sets) : null;
  }

  async retryParked(name: NodeName, context: ApplyContext, options: RetryOptions = {}): Promise<number> {
    let through = 0;
    // by and by: no transaction is long, and nothing is locked when nothing is due
    for (let left = await this.#guarded(() => countDue(this.#pool, name, options)); left > 0; left -= RETRY_LIMIT) {
      this.#foresight.forget(name);
      through += await this.#applying({ context, name }, async ({ client, peer }) => {
        if (!peer.hasParked) return 0;
        // a retry is no packet of its own: it stands where the last packet stood
        const header = lastHeader(name, this.#name, peer);
        const session = await this.#session(client, peer, { header, context, tables: [], ...(options.now && { shapes: options.now }) });
        const went = await retryParkedChanges(session, await this.#tables.all(), options);
        await wantToo(session);
        failpoint("parked.before_commit");
        return went;
      });
    }
    return through;
  }

  async #incomingTables(header: PacketHeader, context: ApplyContext): Promise<IncomingTable[]> {
    const tables = await this.#tables.named(header.tables.map((shape) => shape.table));
    return tables.map((table, index) => {
      const shape = header.tables[index];
      const rule = context.rules.get(table.name);
      if (shape === undefined || rule === undefined) {
        throw new TomboloError(`the packet from ${header.source} brings table ${table.name}, which this link does not carry`, {
          code: "TABLE_NOT_IN_LINK",
          kind: "operator",
          hint: "let both sides run with the same topology",
        });
      }
      return new IncomingTable(table, shape, rule);
    });
  }

  /**
   * One transaction that is the applier's, with the peer's row locked. A small batch is mostly round trips: what can be said at once is (`ahead`: with
   * the lock; `end`: with the commit). Under a parent the application's own triggers and the
   * foreign keys' cascades stay quiet where the role may say so: the parent has run them and sends what they did.
   */
  #applying<T>(
    { context, name, more = [], ahead = null }: Applying,
    work: (transaction: {
      readonly client: pg.PoolClient;
      readonly peer: LockedPeer;
      readonly said: AtOnce | null;
      readonly end: (statement: pg.QueryConfig) => void;
    }) => Promise<T>,
  ): Promise<T> {
    const settings = ["tombolo.apply = 'on'", ...(this.#isQuiet(context) ? ["session_replication_role = 'replica'"] : []), ...more];
    const words = ["begin", ...settings.map((setting) => `set local ${setting}`)];
    let said: AtOnce | null = null;
    let peer: LockedPeer | undefined;
    let last: pg.QueryConfig | undefined;
    const doing = (client: pg.PoolClient): Promise<T> =>
      work({ client, peer: peer as LockedPeer, said, end: (statement) => (last = statement) });
    const applied = givingWay({ pool: this.#pool, source: name }, (watch) =>
      transaction(this.#pool, doing, {
        async begin(client) {
          watch.begin(client);
          const asked: Promise<LockedPeer>[] = [];
          const open = (go: pg.ClientBase): Promise<unknown>[] => {
            const begun = words.map((word) => go.query(word));
            asked.push(lockPeer(go, name));
            return [...begun, ...asked];
          };
          if (ahead === null) await inOneGo(client, open);
          else {
            said = ahead(client);
            said.begin(open);
          }
          peer = await asked[0]?.catch((error: unknown) => {
            throw (error as Error).cause ?? error;
          });
        },
        async commit(client) {
          await watch.end();
          await inOneGo(client, (go) => [...(last === undefined ? [] : [go.query(last)]), go.query("commit")]);
        },
      }),
    );
    return applied.catch((error: unknown) => {
      this.#lockOrder.failed(error);
      throw error;
    });
  }

  #isQuiet(context: ApplyContext): boolean {
    return context.from === "parent" && this.#replicaRole;
  }

  async #session(
    client: pg.ClientBase,
    locked: LockedPeer,
    given: {
      readonly header: PacketHeader;
      readonly context: ApplyContext;
      readonly tables: readonly IncomingTable[];
      readonly shapes?: readonly TableShape[];
      readonly lead?: Lead;
      readonly atOnce?: AtOnce | null;
    },
  ): Promise<ApplySession> {
    const { header, context, tables, shapes = tables.map(({ shape }) => shape), lead, atOnce = null } = given;
    const peer = { id: locked.id, name: header.source, forwards: locked.forwards };
    const quiet = this.#isQuiet(context);
    const access = { client, peer, header, context, hstore: this.#hstore, gate: new ApplyGate(this.#gate), quiet };
    const sets = lead?.sets ?? null;
    return {
      ...access,
      locksAhead: this.#lockOrder,
      outcome: new Outcome(),
      blocked: locked.hasParked ? await blockedKeys(client, locked.id) : new Set(),
      // only a parent has to keep rows back that others would be given
      waiting: await waitingRows(client, context.from === "child" ? shapes : [], locked.hasParked ? locked.id : null),
      late: new Map(),
      looked: new WeakMap(),
      judgedMeanwhile: await judgedMeanwhile(access, tables, lastSeen(locked)),
      scope: await rowScope(access, locked.limited),
      atOnce: atOnce ?? (sets !== null && !locked.hasParked && AtOnce.suits(access, sets) ? new AtOnce(access, sets) : null),
      lastSeen: lastSeen(locked),
    };
  }

  async #guarded<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw error instanceof TomboloError ? error : postgresError(error);
    }
  }
}

/** What is kept of the packet, by the statement that is the last of its transaction; and the peer's row as that leaves it. */
async function finish(
  session: ApplySession,
  peer: LockedPeer,
  packet: Packet,
): Promise<{ readonly receipt: Receipt; readonly statement: pg.QueryConfig; readonly peer: LockedPeer }> {
  const { header } = packet;
  const { outcome, client } = session;
  const digest = packet.digest();
  await advanceSequences(session, outcome.inserted);
  const receipt: Receipt = {
    number: header.number,
    digest,
    duplicate: false,
    applied: outcome.applied,
    conflicts: outcome.conflicts,
    parked: outcome.parked,
    wanted: outcome.wanted,
  };
  let received = peer.received;
  if (header.kind === "fill") {
    const tables = header.tables.map((shape) => shape.table);
    for (const channel of header.channels) {
      const own = header.tables.filter((shape) => shape.channel === channel).map((shape) => shape.table);
      const isWhole = session.context.wholeChannels?.includes(channel) === true;
      received = isWhole ? startedAnew(received, channel, header) : started(received, channel, own, header);
    }
    await markReceived(client, peer.id, tables, header.scopes);
  } else {
    received = advanced(received, header.channels, header);
  }
  const stored = writeReceipt(receipt, header, session.lastSeen);
  const { epoch: now, number } = header;
  return {
    receipt,
    statement: {
      name: "tombolo_received",
      text: `update tombolo.peer
         set epoch = $2, received_packet_no = $3::bigint, received_digest = $4, received_receipt = $5::jsonb, received = $6::jsonb,
             last_sync_in = clock_timestamp(), apply_xid = null,
             state = case when state in ('paused', 'must_resync', 'snapshot') then state else 'live' end
       where id = $1`,
      values: [peer.id, now, number.toString(), digest, stored, JSON.stringify(received)],
    },
    peer: { ...peer, epoch: now, number, digest, receipt: stored, received, hasParked: peer.hasParked || outcome.parked > 0 },
  };
}

/** Adds what a retry wants to what the last packet wanted. */
async function wantToo({ client, peer, outcome }: ApplySession): Promise<void> {
  if (outcome.wanted.length === 0) return;
  await client.query(
    "update tombolo.peer set received_receipt = jsonb_set(received_receipt, '{wanted}', (received_receipt -> 'wanted') || $2::jsonb) where id = $1",
    [peer.id, JSON.stringify(outcome.wanted)],
  );
}

function writeReceipt(receipt: Receipt, header: PacketHeader, before: PacketHeader["seen"]): string {
  // of channels that the packet was not about, what an earlier one said still counts
  const seen = Object.fromEntries(Object.entries({ ...before, ...header.seen }).map(([channel, at]) => [channel, at.toString()]));
  return JSON.stringify({ ...receipt, number: receipt.number.toString(), seen } satisfies StoredReceipt);
}

/** The header of the last packet, as far as a retry needs it. */
function lastHeader(source: NodeName, target: NodeName, peer: LockedPeer): PacketHeader {
  return {
    protocol: 1,
    source,
    target,
    epoch: epoch(peer.epoch ?? ""),
    number: packetNumber(peer.number),
    previous: peer.digest,
    kind: "changes",
    channels: [],
    after: START,
    upTo: START,
    tables: [],
    seen: lastSeen(peer),
  };
}
