import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import { TomboloError } from "../../../change/error.ts";
import { OBJECT_IN_USE } from "../sqlstate.ts";
import { type Lsn, later, NO_LSN } from "./lsn.ts";
import { outlinePgoutput } from "./pgoutput.ts";
import { ReplicationConnection } from "./replication-connection.ts";
import type { ReplicationMessage } from "./replication-protocol.ts";
import { lossOf, recordLoss, type SlotState, slotLost } from "./slot-state.ts";
import { type Piece, TransactionAssembler } from "./transactions.ts";

export interface SlotStreamOptions {
  readonly url: string;
  /** `application_name` of the walsender. */
  readonly name: string;
  readonly pool: pg.Pool;
  readonly slot: SlotState;
  readonly onEnd: (error: unknown) => void;
  /** Called with what came, before it can be taken. */
  readonly onPiece: (piece: Piece) => void;
  /** Called when the server says how far it has come (see `SlotStream.received`). */
  readonly onKeepalive: () => void;
  /** How long a slot that another connection holds is asked for; 10 s by default. */
  readonly busyForMs?: number;
  /** A walsender of ours that has not heard of its client for so long has lost it; 15 s by default. */
  readonly deadAfterMs?: number;
}

/** The server hears from us at least this often, however busy we are; more often where it waits for less. */
const STATUS_MS = 5_000;
/** A transaction beyond it comes in pieces. */
const PIECE = { changes: 5_000, bytes: 4 * 2 ** 20 };
/** Beyond the first nothing more is read from the socket, until less than the second waits to be written. */
const FULL_BYTES = 2 * 2 ** 20;
const EMPTY_BYTES = 2 ** 20;
const BUSY_FOR_MS = 10_000;
const DEAD_AFTER_MS = 3 * STATUS_MS;

/**
 * Transactions of a slot, in the order of their commits, with back-pressure: when they are not taken the socket is no longer read, but
 * the server still hears from us, so that it keeps the connection.
 */
export class SlotStream {
  readonly #connection: ReplicationConnection;
  readonly #assembler: TransactionAssembler;
  readonly #onEnd: (error: unknown) => void;
  readonly #onPiece: (piece: Piece) => void;
  readonly #onKeepalive: () => void;
  #pieces: Piece[] = [];
  #waitingBytes = 0;
  #paused = false;
  #received: Lsn = NO_LSN;
  /** The end of what has come, where nothing of it waits any more. */
  #idleAt: Lsn = NO_LSN;
  #flushed: Lsn;
  #wake: () => void = () => undefined;
  #over = false;
  #nudged = false;
  #status: NodeJS.Timeout | undefined;

  private constructor(connection: ReplicationConnection, options: SlotStreamOptions) {
    this.#connection = connection;
    this.#onEnd = options.onEnd;
    this.#onPiece = options.onPiece;
    this.#onKeepalive = options.onKeepalive;
    this.#flushed = options.slot.cursor;
    this.#assembler = new TransactionAssembler({ from: options.slot.cursor, limits: PIECE, onPiece: (piece) => this.#arrived(piece) });
  }

  /**
   * Connects and starts. Throws `SLOT_LOST` (operator) where the log cannot be continued, `SLOT_BUSY` (retry) while another
   * process holds the slot.
   */
  static async start(options: SlotStreamOptions): Promise<SlotStream> {
    const until = performance.now() + (options.busyForMs ?? BUSY_FOR_MS);
    for (let attempt = 1; ; attempt++) {
      const connection = await ReplicationConnection.open(options);
      const stream = new SlotStream(connection, options);
      try {
        await refuseLoss(connection, options);
        await stream.#start(options.slot, await statusInterval(connection));
        return stream;
      } catch (error) {
        await connection.close();
        if (!(error instanceof TomboloError) || error.code !== `POSTGRES_${OBJECT_IN_USE}`) throw error;
        await endDeadWalsender(options.pool, options);
        if (performance.now() > until) throw busy(options.slot.slot, error);
        await sleep(Math.min(50 * attempt, 500));
      }
    }
  }

  async #start(slot: SlotState, everyMs: number): Promise<void> {
    await this.#connection.start({
      slot: slot.slot,
      publication: slot.publication,
      from: slot.cursor,
      onMessage: (message) => this.#take(message),
      onEnd: (error) => this.#end(error),
    });
    this.#status = setInterval(() => this.#tell(), everyMs);
  }

  /**
   * What waits: whole transactions, or one piece of a transaction that is too large to wait as a whole; empty after a `nudge`, undefined
   * when the stream is over.
   */
  async next(): Promise<Piece[] | undefined> {
    await this.some();
    if (this.#pieces.length === 0 && this.#over) return undefined;
    if (this.#pieces.length === 0) {
      this.#nudged = false;
      return [];
    }
    const first = this.#pieces[0] as Piece;
    const large = first.end === null || !first.first;
    return this.#pieces.splice(0, large ? 1 : this.#together());
  }

  /** Resolves when `next` has an answer. */
  async some(): Promise<void> {
    while (this.#pieces.length === 0 && !this.#over && !this.#nudged) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Bytes of what waits, or is not done with. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** Everything up to there has come. */
  get received(): Lsn {
    return this.#received;
  }

  /** How many of the whole transactions that wait are written at once. */
  #together(): number {
    let changes = 0;
    const end = this.#pieces.findIndex((piece, at) => {
      changes += piece.changes.length;
      return piece.end === null || at === MOST_AT_ONCE || (at > 0 && changes > MOST_CHANGES_AT_ONCE);
    });
    return end < 0 ? this.#pieces.length : end;
  }

  /** Lets who waits for the next transaction look around. */
  nudge(): void {
    this.#nudged = true;
    this.#wake();
  }

  /** These are done with: there is room for more. */
  done(pieces: readonly Piece[]): void {
    for (const piece of pieces) this.#waitingBytes -= piece.bytes;
    if (this.#paused && this.#waitingBytes < EMPTY_BYTES) {
      this.#paused = false;
      this.#connection.resume();
    }
  }

  /** Everything up to there is durable in the log. */
  flushed(at: Lsn): void {
    this.#flushed = later(this.#flushed, at);
    this.#tell();
  }

  /** How far the server has come, when it has sent nothing since that is not done with; null while there is something. */
  idleAt(): Lsn | null {
    return this.#waitingBytes === 0 && this.#pieces.length === 0 && !this.#assembler.inTransaction ? this.#idleAt : null;
  }

  async close(): Promise<void> {
    this.#over = true;
    clearInterval(this.#status);
    this.#tell();
    this.#wake();
    await this.#connection.close();
  }

  #take(message: ReplicationMessage): void {
    if (message.kind === "data") {
      this.#assembler.take(outlinePgoutput(message.data), message.data.length);
      return;
    }
    this.#received = later(this.#received, message.end);
    // what is said while a transaction is being sent says nothing about its end
    if (!this.#assembler.inTransaction) this.#idleAt = later(this.#idleAt, message.end);
    if (message.replyNow) this.#tell();
    this.#onKeepalive();
  }

  #arrived(piece: Piece): void {
    this.#pieces.push(piece);
    this.#waitingBytes += piece.bytes;
    if (piece.end !== null) {
      this.#received = later(this.#received, piece.end);
      this.#idleAt = later(this.#idleAt, piece.end);
    }
    if (!this.#paused && this.#waitingBytes > FULL_BYTES) {
      this.#paused = true;
      this.#connection.pause();
    }
    this.#onPiece(piece);
    this.#wake();
  }

  #tell(): void {
    this.#connection.status({ received: later(this.#received, this.#flushed), flushed: this.#flushed });
  }

  #end(error: unknown): void {
    if (this.#over) return;
    this.#over = true;
    clearInterval(this.#status);
    this.#wake();
    this.#onEnd(error);
  }
}

/** Transactions written at once. */
const MOST_AT_ONCE = 500;
const MOST_CHANGES_AT_ONCE = 4_000;

async function statusInterval(connection: ReplicationConnection): Promise<number> {
  const [row] = await connection.command("select setting from pg_catalog.pg_settings where name = 'wal_sender_timeout'");
  const timeout = Number(row?.setting);
  return timeout > 0 ? Math.min(STATUS_MS, timeout / 4) : STATUS_MS;
}

async function refuseLoss(connection: ReplicationConnection, { slot, pool }: SlotStreamOptions): Promise<void> {
  const [system] = await connection.command("IDENTIFY_SYSTEM;");
  const loss =
    slot.state === "lost" ? (slot.reason ?? "") : lossOf(slot, { system: system?.systemid ?? "", timeline: Number(system?.timeline) });
  if (loss === null) return;
  await recordLoss(pool, loss);
  throw slotLost(loss);
}

/** Ends a walsender of this node whose client is gone without a word (a machine that lost its power): the server would keep it for minutes. */
async function endDeadWalsender(pool: pg.Pool, options: SlotStreamOptions): Promise<void> {
  await pool.query(
    `select pg_terminate_backend(r.pid) from pg_stat_replication r join pg_replication_slots s on s.active_pid = r.pid
      where s.slot_name = $1 and r.application_name = $2 and r.usename = current_user and r.reply_time < clock_timestamp() - make_interval(secs => $3)`,
    [options.slot.slot, options.name, (options.deadAfterMs ?? DEAD_AFTER_MS) / 1000],
  );
}

const busy = (slot: string, cause: unknown): TomboloError =>
  new TomboloError(`another process reads the replication slot ${slot}`, {
    code: "SLOT_BUSY",
    kind: "retry",
    hint: "Find it in pg_stat_replication: one `tombolo run` or `tombolo sync` at a time works on a node with `capture: slot`.",
    cause,
  });
