import type { Lsn } from "./lsn.ts";
import { type OutlinedMessage, rowOf, type StreamedRelation, type Tuple } from "./pgoutput.ts";

/** A change of an application's table, as it was streamed. */
export interface StreamedChange {
  readonly relation: StreamedRelation;
  readonly op: "I" | "U" | "D" | "T";
  /** The message, to be read by `rowOf`; null for a truncate. */
  readonly row: Buffer | null;
  /** The peer that it was applied from; null for a change made here. */
  readonly origin: number | null;
}

/** When a person made an applied change (see `stampOriginalTimes`); texts of Postgres. */
export interface Stamp {
  readonly tableId: string;
  readonly key: string;
  readonly changedAt: string;
}

/** A committed transaction, or a part of one that is too large to be held. */
export interface Piece {
  /** Of the transaction; 32 bits. */
  readonly xid: number;
  /** Microseconds since 1970. */
  readonly committedAt: number;
  readonly changes: readonly StreamedChange[];
  readonly stamps: readonly Stamp[];
  /** About how much memory it takes. */
  readonly bytes: number;
  readonly first: boolean;
  /** The end of the commit record; null where more pieces follow. */
  readonly end: Lsn | null;
  /** The newest mark that the transaction set (see `LogGate`); null for none. */
  readonly mark: bigint | null;
  /** The mark was set by a process that waits for tombolo.slot to tell it. */
  readonly markElsewhere: boolean;
  /** It changed what is captured, and how. */
  readonly recaptures: boolean;
}

const OWN_SCHEMA = "tombolo";
/** What a change that waits takes beside its message. */
const OBJECTS_BYTES = 200;

/**
 * Puts messages together to transactions. What the replicator has to say about its own transactions stands in its own tables, which are
 * in the publication: that a transaction applies what a peer sent (tombolo.peer, which nobody else can write), the marks by which
 * it sees how far the log has come, and the times of applied changes. These come in the order of commits like everything else.
 */
export class TransactionAssembler {
  readonly #onPiece: (piece: Piece) => void;
  readonly #limits: { readonly changes: number; readonly bytes: number };
  readonly #relations = new Map<number, StreamedRelation>();
  readonly #from: Lsn;
  #open: OpenTransaction | null = null;

  constructor(options: {
    /** A transaction that was committed before it has been delivered before: it is left out. */
    readonly from: Lsn;
    readonly onPiece: (piece: Piece) => void;
    /** A transaction beyond it comes in pieces. */
    readonly limits: { readonly changes: number; readonly bytes: number };
  }) {
    this.#from = options.from;
    this.#onPiece = options.onPiece;
    this.#limits = options.limits;
  }

  /** Between a begin and its commit. */
  get inTransaction(): boolean {
    return this.#open !== null;
  }

  /** `bytes`: of the message. */
  take(message: OutlinedMessage, bytes: number): void {
    if (message.kind === "relation") {
      this.#relations.set(message.oid, message);
      return;
    }
    if (message.kind === "begin") {
      this.#open = message.commit < this.#from ? null : new OpenTransaction(message);
      return;
    }
    const open = this.#open;
    if (open === null || message.kind === "other") return;
    if (message.kind === "commit") {
      this.#open = null;
      this.#onPiece(open.cut(message.end));
      return;
    }
    if (message.kind === "truncate") for (const oid of message.relations) this.#change(open, { oid, op: "T", row: null, bytes });
    else this.#change(open, { oid: message.relation, op: message.op, row: message.bytes, bytes });
    if (open.changes >= this.#limits.changes || open.bytes >= this.#limits.bytes) this.#onPiece(open.cut(null));
  }

  #change(open: OpenTransaction, { oid, op, row, bytes }: Pick<StreamedChange, "op" | "row"> & { oid: number; bytes: number }): void {
    const relation = this.#relations.get(oid);
    if (relation === undefined) return;
    if (relation.schema === OWN_SCHEMA) open.note(relation, op, row === null ? null : rowOf(row).new);
    else open.add({ relation, op, row, origin: open.origin }, bytes);
  }
}

class OpenTransaction {
  readonly #xid: number;
  readonly #committedAt: number;
  #changes: StreamedChange[] = [];
  #stamps: Stamp[] = [];
  #bytes = 0;
  #mark: bigint | null = null;
  #markElsewhere = false;
  #first = true;
  #recaptures = false;
  /** The peer from which this transaction applies, and whether others read what comes from it. */
  #applying: { readonly peer: number; readonly logged: boolean } | null = null;

  constructor({ xid, committedAt }: { readonly xid: number; readonly committedAt: number }) {
    this.#xid = xid;
    this.#committedAt = committedAt;
  }

  get changes(): number {
    return this.#changes.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** The peer that it applies from now. */
  get origin(): number | null {
    return this.#applying?.peer ?? null;
  }

  add(change: StreamedChange, bytes: number): void {
    if (this.#applying?.logged === false) return;
    this.#changes.push(change);
    this.#bytes += bytes + OBJECTS_BYTES;
  }

  /** What the replicator itself has written. */
  note(relation: StreamedRelation, op: StreamedChange["op"], row: Tuple | null): void {
    if (relation.name === "captured_table") this.#recaptures = true;
    if (row === null) return;
    const value = (column: string): string | null => row[relation.columns.indexOf(column)] ?? null;
    if (relation.name === "slot_mark") {
      this.#mark = BigInt(value("mark") ?? 0);
      this.#markElsewhere = value("elsewhere") === "t";
    }
    if (relation.name === "slot_stamp" && op === "I") {
      this.#stamps.push({ tableId: value("table_id") ?? "", key: value("key") ?? "", changedAt: value("changed_at") ?? "" });
    }
    if (relation.name === "peer" && op === "U") {
      const applying = value("apply_xid");
      const peer = Number(value("id"));
      if (applying !== null && Number(BigInt(applying) & 0xffffffffn) === this.#xid) {
        this.#applying = { peer, logged: value("forwards") === "t" };
      } else if (this.#applying?.peer === peer) {
        this.#applying = null;
      }
    }
  }

  cut(end: Lsn | null): Piece {
    const piece: Piece = {
      xid: this.#xid,
      committedAt: this.#committedAt,
      changes: this.#changes,
      stamps: this.#stamps,
      bytes: this.#bytes,
      first: this.#first,
      end,
      mark: this.#mark,
      markElsewhere: this.#markElsewhere,
      recaptures: this.#recaptures,
    };
    this.#changes = [];
    this.#stamps = [];
    this.#bytes = 0;
    this.#mark = null;
    this.#recaptures = false;
    this.#first = false;
    return piece;
  }
}
