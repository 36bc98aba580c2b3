import type pg from "pg";
import { TomboloError } from "../../../change/error.ts";
import type { CapturedCounts } from "../../installation.ts";
import { createPool } from "../connection.ts";
import { postgresError } from "../postgres-error.ts";
import type { LogEntry } from "./images.ts";
import type { PlacedGate } from "./log-gate.ts";
import { LogWriter } from "./log-writer.ts";
import { type Lsn, later } from "./lsn.ts";
import { Marks } from "./marks.ts";
import { streamName } from "./names.ts";
import { Passage } from "./passage.ts";
import { slotState } from "./slot-state.ts";
import { SlotStream } from "./stream.ts";
import type { Piece } from "./transactions.ts";

export interface SlotConsumerOptions {
  readonly url: string;
  /** Of the node. */
  readonly name: string;
  /** Quoted schema of the hstore extension. */
  readonly hstore: string;
  readonly patienceMs?: number;
  /** See `SlotStreamOptions`. */
  readonly busyForMs?: number;
  readonly deadAfterMs?: number;
  /** How often the cursor follows a log in which nothing is for us: 10 s by default. */
  readonly idleAdvanceMs?: number;
}

/** Storing the cursor writes to the log itself, so an idle node must not do it for a few bytes, nor all the time. */
const IDLE_ADVANCE_MS = 10_000;
const IDLE_ADVANCE_BYTES = 256n * 1024n;

/** A place that the stream does not pass by itself within this time has nothing behind it: then a mark is set there. */
const PASSES_WITHIN_MS = 5;

/** So long, and so much, may gather after a writing of the log. */
const GATHER_MS = 10;
const GATHER_BYTES = 64 * 1024;

/**
 * Fills the change log from the node's replication slot. It begins with the first who needs the log, and goes on until it is closed or fails; who
 * needs it next starts it anew. One process at a time: the slot keeps others out, and the cursor in the database makes sure.
 */
export class SlotConsumer implements PlacedGate {
  readonly lags = true;
  readonly #options: SlotConsumerOptions;
  readonly #pool: pg.Pool;
  readonly #writer: LogWriter;
  readonly #marks: Marks;
  readonly #passage = new Passage();
  /** Something that came out of the stream is being written. */
  #busy = false;
  #awaited = 0;
  /** Among what waits is something that must not. */
  #urgent = false;
  #wroteAt = 0;
  #hurry: () => void = () => undefined;
  readonly #idleAdvanceMs: number;
  readonly #counts = { insert: 0, update: 0, delete: 0, truncate: 0 };
  readonly #listeners = new Set<() => void>();
  #starting: Promise<void> | undefined;
  #stream: SlotStream | undefined;
  #writing: Promise<void> = Promise.resolve();
  #idle: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: SlotConsumerOptions) {
    this.#options = options;
    this.#idleAdvanceMs = options.idleAdvanceMs ?? IDLE_ADVANCE_MS;
    // of its own: whoever waits for the log may hold all connections of the node's pool
    this.#pool = createPool({ url: options.url, name: `tombolo ${options.name} log`, max: 3 });
    this.#writer = new LogWriter({ pool: this.#pool, hstore: options.hstore });
    this.#marks = new Marks({
      set: () => this.#setMark(),
      ...(options.patienceMs === undefined ? {} : { patienceMs: options.patienceMs }),
    });
  }

  get behind(): boolean {
    return (this.#stream?.waitingBytes ?? 0) > 0;
  }

  async complete(): Promise<void> {
    await this.start();
    await this.#marks.wait();
  }

  async passed(at: Lsn): Promise<void> {
    await this.start();
    const passing = this.#passage.wait(at, PASSES_WITHIN_MS);
    if (this.#stream !== undefined && this.#stream.received >= at) this.#hurry();
    if (!(await passing)) await this.#marks.wait();
  }

  /** Resolves when the stream runs. */
  async start(): Promise<void> {
    if (this.#closed) throw new TomboloError("the node is being closed", { code: "SLOT_STREAM_ENDED", kind: "retry" });
    if (this.#stream !== undefined) return;
    this.#starting ??= this.#start().finally(() => {
      this.#starting = undefined;
    });
    await this.#starting;
  }

  /** Whether this process reads the slot now. */
  get running(): boolean {
    return this.#stream !== undefined;
  }

  /** Somebody waits for whatever comes, until the answer is called: it is to be written at once. */
  expected(): () => void {
    this.#awaited += 1;
    this.#hurry();
    return () => {
      this.#awaited -= 1;
    };
  }

  /** Called when something was written to the log; answers how to stop that. */
  onLogged(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** What was captured here since this process began. */
  counts(): CapturedCounts {
    return { ...this.#counts };
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#starting?.catch(() => undefined);
    clearInterval(this.#idle);
    await this.#stream?.close();
    this.#hurry();
    await this.#writing;
    this.#marks.fail(new TomboloError("the node is being closed", { code: "SLOT_STREAM_ENDED", kind: "retry" }));
    await this.#pool.end();
  }

  async #start(): Promise<void> {
    // what an earlier stream had begun to write is written, or not, before the cursor is read
    await this.#writing;
    const slot = await slotState(this.#pool).catch((error: unknown) => {
      throw postgresError(error);
    });
    if (slot === null) {
      throw new TomboloError("the node captures from a replication slot, and has none yet", {
        code: "SLOT_MISSING",
        kind: "operator",
        hint: "Run `tombolo plan`, then `tombolo apply`.",
      });
    }
    const { url, name, busyForMs, deadAfterMs } = this.#options;
    let failed: unknown;
    const stream = await SlotStream.start({
      url,
      name: streamName(name),
      pool: this.#pool,
      slot,
      ...(busyForMs === undefined ? {} : { busyForMs }),
      ...(deadAfterMs === undefined ? {} : { deadAfterMs }),
      onEnd: (error) => {
        failed = error;
      },
      onPiece: (piece) => this.#arrived(piece),
      onKeepalive: () => this.#heard(),
    });
    this.#stream = stream;
    this.#busy = false;
    this.#passage.begin(slot.cursor);
    this.#writing = this.#write(stream, slot.cursor).then(
      () => this.#ended(stream, failed),
      async (error: unknown) => {
        await stream.close();
        this.#ended(stream, error);
      },
    );
  }

  #ended(stream: SlotStream, error: unknown): void {
    if (this.#stream !== stream) return;
    this.#stream = undefined;
    clearInterval(this.#idle);
    this.#marks.fail(error ?? new TomboloError("the replication stream ended", { code: "SLOT_STREAM_ENDED", kind: "retry" }));
  }

  /** Writes what comes until the stream is over. */
  async #write(stream: SlotStream, from: Lsn): Promise<void> {
    let cursor = from;
    let passed = from;
    let advancedAt = performance.now();
    this.#idle = setInterval(() => stream.nudge(), this.#idleAdvanceMs);
    for (;;) {
      this.#busy = false;
      await this.#gather(stream);
      this.#urgent = false;
      const pieces = await stream.next();
      if (pieces === undefined) return;
      this.#busy = pieces.length > 0;
      const [first] = pieces;
      if (first?.end === null) {
        cursor = await this.#writer.writeLarge(resumed(pieces, stream), cursor, (entries) => this.#count(entries));
        passed = cursor;
        this.#passage.reached(passed);
        stream.flushed(cursor);
        this.#tell();
        continue;
      }
      const end = pieces.at(-1)?.end ?? passed;
      if (pieces.some(({ changes, stamps, recaptures }) => recaptures || changes.length + stamps.length > 0)) {
        this.#wroteAt = performance.now();
        const { entries } = await this.#writer.write(pieces, { from: cursor, to: end });
        cursor = end;
        this.#count(entries);
        stream.flushed(cursor);
        if (entries.length > 0) this.#tell();
      }
      passed = end;
      stream.done(pieces);
      this.#passage.reached(later(passed, stream.idleAt() ?? passed));
      for (const { mark, markElsewhere } of pieces) {
        if (mark === null) continue;
        this.#marks.reached(mark);
        if (markElsewhere) await this.#writer.tellMark(mark);
      }
      const at = later(passed, stream.idleAt() ?? passed);
      // half of it: a nudge that comes a little early shall not be the one in vain
      if (at - cursor > IDLE_ADVANCE_BYTES && performance.now() - advancedAt >= this.#idleAdvanceMs / 2) {
        await this.#writer.advance({ from: cursor, to: at });
        cursor = at;
        advancedAt = performance.now();
        stream.flushed(cursor);
      }
    }
  }

  /** Lets transactions gather while nobody waits for them: every writing of the log is a commit, which the applications' commits have to share the disk with. */
  async #gather(stream: SlotStream): Promise<void> {
    await stream.some();
    const left = this.#wroteAt + GATHER_MS - performance.now();
    const urgent = this.#urgent || this.#awaited > 0 || stream.waitingBytes > GATHER_BYTES || this.#passage.isAwaited(stream.received);
    if (left <= 0 || urgent) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, left);
      this.#hurry = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #arrived({ end, mark }: Piece): void {
    if (end === null || mark !== null) this.#urgent = true;
    if (this.#urgent || (end !== null && this.#passage.isAwaited(end))) this.#hurry();
  }

  #heard(): void {
    const stream = this.#stream;
    if (stream === undefined) return;
    if (this.#passage.isAwaited(stream.received)) this.#hurry();
    // what the stream has handed over may be done with for it, and not yet committed to the log
    const idleAt = this.#busy ? null : stream.idleAt();
    if (idleAt !== null) this.#passage.reached(idleAt);
  }

  #count(entries: readonly LogEntry[]): void {
    for (const { op, origin } of entries) {
      if (origin !== null) continue;
      if (op === "I") this.#counts.insert += 1;
      else if (op === "U") this.#counts.update += 1;
      else if (op === "D") this.#counts.delete += 1;
      else this.#counts.truncate += 1;
    }
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }

  async #setMark(): Promise<bigint> {
    try {
      const { rows } = await this.#pool.query<{ mark: string }>({
        name: "tombolo_slot_mark",
        text: "update tombolo.slot_mark set mark = mark + 1, elsewhere = false returning mark",
      });
      return BigInt(rows[0]?.mark ?? 0);
    } catch (error) {
      throw postgresError(error);
    }
  }
}

/** The pieces of one large transaction, each done with when the next is asked for. */
async function* resumed(first: readonly Piece[], stream: SlotStream): AsyncGenerator<Piece> {
  let pieces: readonly Piece[] | undefined = first;
  while (pieces !== undefined) {
    for (const piece of pieces) {
      try {
        yield piece;
      } finally {
        stream.done([piece]);
      }
    }
    pieces = await stream.next();
  }
}
