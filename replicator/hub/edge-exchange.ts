import type { z } from "zod";
import { failpoint } from "../change/failpoints.ts";
import type { Position } from "../change/names.ts";
import type { PacketHeader, Receipt } from "../change/packet.ts";
import { type answerTail, ExchangeReader, jsonSection, requestHead } from "../link/exchange.ts";
import type { Heard, LinkEnd, Sender } from "../link/link-end.ts";
import { Pipe } from "../link/pipe.ts";
import { receiptJson, sumOf } from "../link/receipts.ts";
import type { Carrier } from "../link/relay.ts";
import { reportJson } from "../link/report.ts";
import { sleep } from "../link/sleep.ts";
import { eachWhole } from "../link/spool.ts";
import type { PassOptions } from "../link/transfer.ts";
import type { NewsOf } from "../node/change-log.ts";
import type { EdgePlace } from "./edge-desk.ts";
import { LeftBehind } from "./left-behind.ts";
import { toldWishes } from "./told-wishes.ts";
import type { Turn, Turns } from "./turns.ts";

/**
 * Both ways in one request: what the edge brings is applied, then what the hub has for it is sent. The answer begins when there is something to
 * say, which is at once unless the edge wants to wait for it. Throws before it begins, `RATE_LIMITED` (retry) where too many have come at once; what goes wrong later cuts
 * it off.
 */
export async function exchange(
  place: EdgePlace,
  body: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
  turns: Turns,
): Promise<Pipe<Uint8Array>> {
  const reader = new ExchangeReader(body);
  const head = await reader.json(requestHead);
  const turn = await turns.begin();
  try {
    return await inTurn({ place, reader, head, signal, turn });
  } catch (error) {
    turn.giveBack();
    throw error;
  }
}

async function inTurn({
  place,
  reader,
  head,
  signal,
  turn,
}: {
  readonly place: EdgePlace;
  readonly reader: ExchangeReader;
  readonly head: z.output<typeof requestHead>;
  readonly signal: AbortSignal;
  readonly turn: Turn;
}): Promise<Pipe<Uint8Array>> {
  const { end, link, manifestId, observer, wishes } = place;
  const heard = await end.hear(head.report, { delayMs: head.round_trip_ms / 2 });
  observer.confirmed(head.report.state.number);
  failpoint("hub.heard");
  for await (const start of unlessPaused(place, head.starts)) await end.start(start);
  const receipts = await end.receive(turn.whileOthersBring(eachWhole(unlessPaused(place, reader.packets()))), heard);
  await reader.close();
  failpoint("hub.received");
  if (receipts.every(({ wanted }) => wanted.length === 0)) observer.broughtAll();
  const brought = receipts.length + head.starts.length > 0;
  // an edge that only listens, as a thousand do, is content with what was looked up for others a moment ago, and finds the hub where it is now
  const oldMs = !brought && head.wait_seconds > 0 ? LOOKED_MS : 0;
  const still = await end.report();
  const retried = still.state.hasParked ? await end.retryParked(heard, { all: head.final }) : 0;
  const up = sumOf(receipts);
  const left = new LeftBehind(place);
  const begin = async (): Promise<Buffer> => {
    const report = still.state.hasParked ? await end.report() : await end.report(still.state);
    const told = { report: reportJson(report), receipts: receipts.map(receiptJson), retried, manifest: manifestId };
    return jsonSection({ ...told, ...(await toldWishes(place, head.features, { oldMs: left.hasAsked ? 0 : oldMs })) });
  };
  const news = up.changes + up.parked + up.wanted + retried + head.starts.length > 0;
  const answer = new Answer(begin);
  const carrier: Carrier = {
    start: () => Promise.reject(new Error("a parent starts nothing at its child")),
    packet: (_, bytes) => answer.packet(bytes),
  };
  const sender = await end.sender(heard, carrier, head.features.includes("full_sync") ? { leftBehind: () => left.noted() } : {});
  const sending = follow({
    place,
    sender,
    signal,
    left,
    heard,
    isPaused: still.state.paused,
    first: { final: head.final, oldMs },
    waitMs: news ? 0 : head.wait_seconds * 1000,
    wished: (stop, wished) => wishes.wait(link.child, stop, wished),
    sent: () => answer.packets > 0 || left.hasAsked || left.isOver,
    turn,
  }).finally(() => turn.giveBack());
  void sending.then(
    (received) => answer.end({ sent: up.changes + retried, received, conflicts: up.conflicts, parked: up.parked }),
    (error: unknown) => answer.fail(error),
  );
  return answer.begun(sending);
}

/** Of a link that is paused, which the edge may not know yet, nothing is taken: it is brought again. */
async function* unlessPaused<T>(place: EdgePlace, brought: Iterable<T> | AsyncIterable<T>): AsyncGenerator<T> {
  for await (const each of brought) {
    if (await isPausedHere(place)) return;
    yield each;
  }
}

const isPausedHere = async ({ node, link }: EdgePlace): Promise<boolean> => (await node.target.peer(link.child)).paused;

/** Packets for an edge that only listens; null when there were none in time. */
export async function pull(
  place: EdgePlace,
  heard: Heard,
  options: { readonly waitMs: number; readonly signal: AbortSignal },
): Promise<Pipe<Uint8Array> | null> {
  place.observer.confirmed(heard.state.number);
  const answer = new Answer(async () => null);
  const carrier: Carrier = {
    start: () => Promise.reject(new Error("a parent starts nothing at its child")),
    packet: (_, bytes) => answer.packet(bytes),
  };
  const sender = await place.end.sender(heard, carrier);
  const isPaused = await isPausedHere(place);
  const first = { final: true, advance: false };
  const sending = follow({ place, sender, heard, isPaused, first, ...options, sent: () => answer.packets > 0 });
  void sending.then(
    () => answer.end(null),
    (error: unknown) => answer.fail(error),
  );
  const pipe = await answer.begun(sending);
  return answer.packets === 0 ? null : pipe;
}

/** One packet that an edge brings, in a request of its own. */
export async function push(
  end: LinkEnd,
  bytes: AsyncIterable<Uint8Array>,
  options: { readonly clockMs: number | null; readonly expected: (header: PacketHeader) => void },
): Promise<Receipt> {
  const admitted = await end.admit(options);
  const [receipt] = await end.receive(eachWhole(only(bytes)), admitted, options);
  if (receipt === undefined) throw new Error("a packet was neither applied nor refused");
  return receipt;
}

/** Passes until something was sent or the time is over; at the end of it the edge is told how far it is, if that is further than it knows. Answers the changes. */
async function follow(options: {
  readonly place: EdgePlace;
  readonly sender: Sender;
  readonly heard: Heard;
  /** As the hub has it. */
  readonly isPaused: boolean;
  readonly signal: AbortSignal;
  readonly first: PassOptions;
  readonly waitMs: number;
  readonly sent: () => boolean;
  readonly left?: LeftBehind;
  /** Has `wished` called when the edge is to be told of something else. */
  readonly wished?: (stop: AbortSignal, wished: () => void) => void;
  /** Given back as soon as there is nothing but news to wait for. */
  readonly turn?: Turn;
}): Promise<number> {
  const { place, sender, heard, signal, first, waitMs, sent, wished, left, turn } = options;
  const isPaused = options.isPaused || heard.state.paused;
  let changes = isPaused ? 0 : (await sender.pass(first)).changes;
  if (sent() || signal.aborted || waitMs === 0) return changes;
  const over = AbortSignal.timeout(waitMs);
  const other = new AbortController();
  const ended = new AbortController();
  const stop = AbortSignal.any([signal, over, other.signal, ended.signal]);
  wished?.(stop, () => other.abort());
  // those who are told of the same share what it takes to tell them, where they come together
  turn?.giveBack();
  const filters = heard.scopes?.current();
  const news: NewsOf = filters === undefined ? place.news : { ...place.news, filters };
  try {
    // what ends it at the edge, the edge says itself
    while (isPaused && !stop.aborted && (heard.state.paused || (await isPausedHere(place)))) await sleep(PAUSED_MS, stop);
    if (isPaused) return changes;
    while (!sent() && !stop.aborted) {
      if (left?.isLeft) {
        await sleep(LEFT_PAUSE_MS, stop);
        if (stop.aborted) break;
        left.isLeft = false;
        changes += (await sender.pass(first)).changes;
        continue;
      }
      const emptyTo = await place.node.log.news(sender.position, stop, news);
      if (signal.aborted || other.signal.aborted || (over.aborted && isAt(heard, emptyTo)) || (await isPausedHere(place))) break;
      changes += (await sender.pass({ final: false, advance: over.aborted, emptyTo })).changes;
    }
  } finally {
    ended.abort();
  }
  return changes;
}

/** Somebody else's look is good enough for so long, where who asks waits for news from there on: waiting looks again within a second. */
const LOOKED_MS = 2_000;

/** How soon a link that was paused goes on. */
const PAUSED_MS = 1_000;

/** While an edge that was left behind is filled, nothing is sent to it. */
const LEFT_PAUSE_MS = 1_000;

/** There is nothing that the edge does not know: not even how far it is. */
const isAt = ({ state: { channels } }: Heard, at: Position): boolean =>
  channels.size > 0 && [...channels.values()].every(({ position, ahead }) => position === at && ahead.size === 0);

/** So much is held back: what goes wrong until then is told with its code, and not by cutting the answer off. */
const HELD_BACK = 2 ** 18;

/** An answer that begins when there is more to say than is held back, or with its end. */
class Answer {
  packets = 0;
  readonly #pipe = new Pipe<Uint8Array>();
  readonly #head: () => Promise<Buffer | null>;
  readonly #began: Promise<void>;
  #beginning: () => void = () => {};
  #hasBegun = false;
  #held: Uint8Array[] = [];
  #heldBytes = 0;

  constructor(head: () => Promise<Buffer | null>) {
    this.#head = head;
    this.#began = new Promise((resolve) => {
      this.#beginning = resolve;
    });
  }

  async packet(bytes: AsyncIterable<Buffer>): Promise<void> {
    this.packets += 1;
    for await (const piece of bytes) {
      if (this.#hasBegun) {
        await this.#pipe.put(piece);
        continue;
      }
      this.#held.push(piece);
      this.#heldBytes += piece.length;
      if (this.#heldBytes > HELD_BACK) await this.#begin();
    }
  }

  async end(tail: z.input<typeof answerTail> | null): Promise<void> {
    try {
      if (tail !== null) this.#held.push(jsonSection(tail));
      await this.#begin();
      failpoint("hub.answered");
      this.#pipe.end();
    } catch (error) {
      this.fail(error);
    }
  }

  fail(error: unknown): void {
    this.#pipe.end(error);
  }

  /** The bytes, once there are some. Throws what `sending` throws before that. */
  async begun(sending: Promise<unknown>): Promise<Pipe<Uint8Array>> {
    await Promise.race([this.#began, sending]);
    return this.#pipe;
  }

  async #begin(): Promise<void> {
    const head = this.#hasBegun ? null : await this.#head();
    this.#hasBegun = true;
    this.#beginning();
    const held = head === null ? this.#held : [head, ...this.#held];
    this.#held = [];
    if (held.length > 0) await this.#pipe.put(Buffer.concat(held));
  }
}

async function* only<T>(one: T): AsyncGenerator<T> {
  yield one;
}
