import type { Dispatcher } from "undici";
import { failpoint } from "../change/failpoints.ts";
import { type Position, START, type TableName, tableName } from "../change/names.ts";
import type { Receipt } from "../change/packet.ts";
import type { FullSyncWatcher } from "../full-sync/options.ts";
import { answerHead, answerTail, EXCHANGE_FEATURES, EXCHANGE_TYPE, ExchangeReader, jsonSection } from "../link/exchange.ts";
import type { Heard, LinkEnd } from "../link/link-end.ts";
import { Pipe, PipeClosed } from "../link/pipe.ts";
import { receiptOf, sumOf } from "../link/receipts.ts";
import type { Carrier, TableStart } from "../link/relay.ts";
import { reportJson } from "../link/report.ts";
import { eachWhole } from "../link/spool.ts";
import type { SyncDirection } from "../node/full-sync-runs.ts";
import type { ReconcileOptions } from "../reconcile/reconcile-link.ts";
import { hubStatus } from "./hub-answers.ts";
import type { HubClient } from "./hub-client.ts";

/** A full sync that the hub wants of this edge. */
export interface WishedSync {
  readonly run: bigint;
  readonly tables: readonly TableName[];
  readonly direction: SyncDirection;
  /** Both sides are to be compared afterwards. */
  readonly verify: boolean;
}

/** What an exchange moved, as the edge sees it. */
export interface Exchanged {
  readonly sent: number;
  readonly received: number;
  readonly conflicts: number;
  /** Of the conflicts, those that wait for a person. */
  readonly open: number;
  readonly parked: number;
  /** Rows that one side wants of the other: on their way with the next exchange. */
  readonly wanted: number;
  /** Tables that the hub begins to receive: it confirms that with the next exchange. */
  readonly started: number;
  /** Of what the edge is to know of the topology, as it is at the hub now. */
  readonly manifest: string;
  /** The hub wants these tables filled anew, or filled from here; null for none. */
  readonly fullSync: WishedSync | null;
  /** The hub wants the two to begin anew, and this full sync to follow; null for no. Until then nothing else is exchanged. */
  readonly resync: WishedSync | null;
  /** Either side has the link stopped: nothing is sent. */
  readonly isPaused: boolean;
  /** The hub wants the two compared; null for no. */
  readonly reconcile: (Pick<ReconcileOptions, "name" | "repair" | "scope"> & { readonly run: bigint }) | null;
}

export interface ExchangeOptions {
  /** All that is there, and not only what is at hand. */
  readonly final: boolean;
  /** Where the hub has nothing: how long it waits for something, milliseconds. */
  readonly waitMs?: number;
  readonly signal: AbortSignal;
  /** Ends the waiting: the edge has something to say itself. Without effect once the answer has begun. */
  readonly interrupt?: AbortSignal;
  /** Called as packets arrive. */
  readonly progress?: (received: number) => void;
  /** Called while tables that have nothing yet are filled by a full sync, before the first exchange. */
  readonly filling?: FullSyncWatcher["progress"];
}

/** Waiting was interrupted. */
export const INTERRUPTED = Symbol("interrupted");

export interface EdgeLinkOptions {
  readonly end: LinkEnd;
  readonly client: HubClient;
  readonly node: string;
  /** What the hub may tell: see `EXCHANGE_FEATURES`. */
  readonly hubFeatures: readonly string[];
  /** What this end goes by; see `Exchanged`. */
  readonly manifest: string;
}

/**
 * The edge's end of its link: exchanges with the hub, one at a time. It remembers what the hub last said, which saves asking; after an error it asks anew,
 * so that nothing depends on what became of a request.
 */
export class EdgeLink {
  readonly #options: EdgeLinkOptions;
  #heard: Heard | undefined;
  #roundTripMs = 0;
  #position: Position = START;

  constructor(options: EdgeLinkOptions) {
    this.#options = options;
  }

  /** Up to where the last exchange looked into the edge's log. */
  get position(): Position {
    return this.#position;
  }

  /** Sends what the hub lacks, applies what it answers. Throws what the hub refuses, and what applying throws. */
  async exchange(options: ExchangeOptions & { readonly interrupt: AbortSignal }): Promise<Exchanged | typeof INTERRUPTED>;
  async exchange(options: Omit<ExchangeOptions, "interrupt">): Promise<Exchanged>;
  async exchange(options: ExchangeOptions): Promise<Exchanged | typeof INTERRUPTED> {
    try {
      return await this.#exchange(options);
    } catch (error) {
      if (options.interrupt?.aborted && !options.signal.aborted && error === options.interrupt.reason) return INTERRUPTED;
      // whatever became of it, the hub may be elsewhere now
      this.#heard = undefined;
      throw error;
    }
  }

  async #exchange({ final, waitMs = 0, signal, interrupt, progress }: ExchangeOptions): Promise<Exchanged> {
    const { end, client, node, hubFeatures } = this.#options;
    const heard = this.#heard ?? (await this.#ask(signal));
    if ("run" in heard) return { ...NOTHING_MOVED, manifest: this.#options.manifest, resync: heard };
    const report = await end.report();
    const isPaused = report.state.paused || heard.state.paused;
    const request = new RequestBody({
      report: reportJson(report),
      round_trip_ms: Math.min(this.#roundTripMs, 60_000),
      final,
      wait_seconds: waitMs / 1000,
      // a hub that lists none may be one that refuses what it does not know
      ...(hubFeatures.length > 0 && { features: EXCHANGE_FEATURES }),
    });
    const sender = await end.sender(heard, request);
    const started = performance.now();
    const passing = isPaused ? Promise.resolve() : sender.pass({ final });
    const sending = passing.then(
      () => request.end(),
      (error: unknown) => request.fail(error),
    );
    // whoever awaits it may come later
    sending.catch(() => undefined);
    let answer: Dispatcher.ResponseData;
    try {
      answer = await client.send({
        method: "POST",
        path: `/v1/nodes/${encodeURIComponent(node)}/exchange`,
        type: EXCHANGE_TYPE,
        body: request.bytes,
        signal: interrupt === undefined ? signal : AbortSignal.any([signal, interrupt]),
        waitMs,
      });
    } catch (error) {
      await request.broken(sending);
      throw error;
    }
    // the hub may answer before it has read all, when it refuses; then this throws
    await sending;
    failpoint("edge.sent");
    if (!isPaused) this.#position = sender.position;
    if (waitMs === 0) this.#roundTripMs = performance.now() - started;
    return this.#take(client.bytes(answer, signal), request.started, progress);
  }

  async #take(answer: AsyncIterable<Uint8Array>, started: number, progress: ExchangeOptions["progress"]): Promise<Exchanged> {
    const { end } = this.#options;
    const reader = new ExchangeReader(answer);
    try {
      const head = await reader.json(answerHead);
      failpoint("edge.told");
      const up = sumOf(head.receipts.map(receiptOf));
      const heard = await end.hear(head.report, { delayMs: this.#roundTripMs / 2 });
      let received = 0;
      const applied = (receipt: Receipt): void => {
        received += sumOf([receipt]).changes;
        progress?.(received);
      };
      const receipts = await end.receive(eachWhole(reader.packets()), heard, { applied });
      const down = sumOf(receipts);
      // after a packet that leaves rows wanted, the rest of the answer is not taken
      if (down.wanted === 0) {
        await reader.json(answerTail);
        await reader.end();
      }
      const through = await end.retryParked(heard);
      failpoint("edge.taken");
      const resync = wishedSync(head.resync);
      // it is looked at anew, and from where the two are then
      this.#heard = resync === null ? heard : undefined;
      return {
        sent: up.changes + head.retried,
        received: down.changes + through,
        conflicts: up.conflicts + down.conflicts,
        open: up.open + down.open,
        parked: up.parked + down.parked,
        wanted: up.wanted + down.wanted,
        started,
        manifest: head.manifest,
        reconcile: head.reconcile === null ? null : { ...head.reconcile, run: BigInt(head.reconcile.run) },
        fullSync: wishOf("push", head.full_sync_push) ?? wishOf("pull", head.full_sync),
        resync,
        isPaused: heard.state.paused,
      };
    } finally {
      await reader.close();
    }
  }

  /** Where the hub is with this edge; or that the two are to begin anew, before it is looked at: their memories may not agree. */
  async #ask(signal: AbortSignal): Promise<Heard | WishedSync> {
    const { end, client, node } = this.#options;
    const started = performance.now();
    const { report, resync } = await hubStatus(client, node, signal);
    const wished = wishedSync(resync);
    if (wished !== null) return wished;
    this.#roundTripMs = performance.now() - started;
    return end.hear(report, { delayMs: this.#roundTripMs / 2 });
  }
}

const NOTHING_MOVED = {
  ...{ sent: 0, received: 0, conflicts: 0, open: 0, parked: 0, wanted: 0, started: 0 },
  ...{ fullSync: null, reconcile: null, isPaused: true },
};

interface ToldSync {
  readonly run: string;
  readonly tables: readonly string[];
  readonly verify: boolean;
}

const wishOf = (direction: SyncDirection, told: ToldSync | null): WishedSync | null =>
  told === null ? null : { run: BigInt(told.run), tables: told.tables.map(tableName), direction, verify: told.verify };

const wishedSync = (told: (ToldSync & { readonly direction: SyncDirection }) | null): WishedSync | null =>
  told === null ? null : wishOf(told.direction, told);

/** The body of a request: its head is known when the first packet is, for until then tables may be started. */
class RequestBody implements Carrier {
  readonly #pipe = new Pipe<Uint8Array>();
  readonly #head: object;
  readonly #starts: TableStart[] = [];
  #begun = false;

  constructor(head: object) {
    this.#head = head;
  }

  get bytes(): AsyncIterable<Uint8Array> {
    return this.#pipe;
  }

  /** Tables. */
  get started(): number {
    return this.#starts.reduce((sum, { tables }) => sum + tables.length, 0);
  }

  async start(start: TableStart): Promise<void> {
    this.#starts.push(start);
  }

  async packet(_: unknown, bytes: AsyncIterable<Buffer>): Promise<void> {
    await this.#begin();
    for await (const piece of bytes) await this.#pipe.put(piece);
  }

  async end(): Promise<void> {
    await this.#begin();
    this.#pipe.end();
  }

  /** Cuts the request off, and throws. */
  fail(error: unknown): never {
    this.#pipe.end(error);
    throw error;
  }

  /** The request has failed: throws why, where it is the sending that failed, once nothing is being read for it any more. */
  async broken(sending: Promise<void>): Promise<void> {
    await this.#pipe[Symbol.asyncIterator]().return?.();
    await sending.catch((error: unknown) => {
      if (!(error instanceof PipeClosed)) throw error;
    });
  }

  async #begin(): Promise<void> {
    if (this.#begun) return;
    this.#begun = true;
    const starts = this.#starts.map(({ channel, tables, at }) => ({ channel, tables, at: at.toString() }));
    await this.#pipe.put(jsonSection({ ...this.#head, starts }));
  }
}
