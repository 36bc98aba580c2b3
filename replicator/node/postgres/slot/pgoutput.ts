import { TomboloError } from "../../../change/error.ts";
import { type Lsn, lsn } from "./lsn.ts";

/** A row as pgoutput sends it, by the columns of its relation: text, null, or undefined for a large value that did not change. */
export type Tuple = readonly (string | null | undefined)[];

export interface StreamedRelation {
  /** `pg_class.oid`. */
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly columns: readonly string[];
}

/** One message of pgoutput, protocol 1. Times are microseconds since 1970. */
export type PgoutputMessage =
  /** `commit`: where the commit record begins. */
  | { readonly kind: "begin"; readonly commit: Lsn; readonly committedAt: number; readonly xid: number }
  | { readonly kind: "commit"; readonly end: Lsn }
  | ({ readonly kind: "relation" } & StreamedRelation)
  | { readonly kind: "insert"; readonly relation: number; readonly new: Tuple }
  /** `old` is null unless the table's replica identity is FULL. */
  | { readonly kind: "update"; readonly relation: number; readonly old: Tuple | null; readonly new: Tuple }
  | { readonly kind: "delete"; readonly relation: number; readonly old: Tuple | null }
  | { readonly kind: "truncate"; readonly relations: readonly number[] }
  /** An origin, a type, a logical message: nothing that the log holds. */
  | { readonly kind: "other" };

/** A message about one row, not read yet: the relation is all that there is to know before it is written. */
export interface RowMessage {
  readonly kind: "row";
  readonly op: "I" | "U" | "D";
  readonly relation: number;
  readonly bytes: Buffer;
}

export type OutlinedMessage = Exclude<PgoutputMessage, { readonly kind: "insert" | "update" | "delete" }> | RowMessage;

/** Microseconds from 1970 to 2000, where the server's times begin. */
const EPOCH_US = 946_684_800_000_000;

const code = (letter: string): number => letter.charCodeAt(0);
const BEGIN = code("B");
const COMMIT = code("C");
const RELATION = code("R");
const INSERT = code("I");
const UPDATE = code("U");
const DELETE = code("D");
const TRUNCATE = code("T");
const ROWS: ReadonlyMap<number, RowMessage["op"]> = new Map([
  [INSERT, "I"],
  [UPDATE, "U"],
  [DELETE, "D"],
]);
const OTHERS = new Set([code("O"), code("Y"), code("M")]);
const NEW = code("N");
const OLD = code("O");
const KEY = code("K");
const NULL = code("n");
const UNCHANGED = code("u");
const TEXT = code("t");

/** Reads one message. Throws `SLOT_PROTOCOL` (operator) for one that is cut short, too long, or of a kind that protocol 1 does not have. */
export function parsePgoutput(bytes: Buffer): PgoutputMessage {
  const reader = new Reader(bytes);
  const message = body(reader, reader.byte());
  if (message.kind !== "other") reader.end();
  return message;
}

/**
 * The same, but rows stay as they are until someone needs them (`parsePgoutput`): a row of ten values that waits is one object then, and not
 * twelve, which the garbage collector would carry about.
 */
export function outlinePgoutput(bytes: Buffer): OutlinedMessage {
  const op = ROWS.get(bytes[0] as number);
  // one that is too short is refused there
  if (op === undefined || bytes.length < 5) return parsePgoutput(bytes) as Exclude<OutlinedMessage, RowMessage>;
  return { kind: "row", op, relation: bytes.readUInt32BE(1), bytes };
}

/** The row before and after. */
export function rowOf(bytes: Buffer): { readonly old: Tuple | null; readonly new: Tuple | null } {
  const message = parsePgoutput(bytes);
  return { old: "old" in message ? message.old : null, new: "new" in message ? message.new : null };
}

function body(reader: Reader, kind: number): PgoutputMessage {
  switch (kind) {
    case BEGIN:
      return { kind: "begin", commit: reader.lsn(), committedAt: reader.time(), xid: reader.uint32() };
    case COMMIT: {
      reader.skip(9);
      const end = reader.lsn();
      reader.skip(8);
      return { kind: "commit", end };
    }
    case RELATION:
      return relation(reader);
    case INSERT: {
      const of = reader.uint32();
      reader.expect(NEW);
      return { kind: "insert", relation: of, new: reader.tuple() };
    }
    case UPDATE: {
      const of = reader.uint32();
      const before = oldTuple(reader);
      if (before.next !== NEW) throw malformed(`an update with ${before.next}`);
      return { kind: "update", relation: of, old: before.full, new: reader.tuple() };
    }
    case DELETE: {
      const of = reader.uint32();
      const which = reader.byte();
      if (which !== OLD && which !== KEY) throw malformed(`a delete with ${which}`);
      const old = reader.tuple();
      return { kind: "delete", relation: of, old: which === OLD ? old : null };
    }
    case TRUNCATE: {
      const count = reader.uint32();
      reader.skip(1);
      return { kind: "truncate", relations: reader.many(count, 4, () => reader.uint32()) };
    }
    default:
      if (OTHERS.has(kind)) return { kind: "other" };
      throw malformed(`a message of kind ${kind}`);
  }
}

function relation(reader: Reader): PgoutputMessage {
  const oid = reader.uint32();
  const schema = reader.string();
  const name = reader.string();
  reader.skip(1);
  const columns = reader.many(reader.uint16(), 10, () => {
    reader.skip(1);
    const column = reader.string();
    reader.skip(8);
    return column;
  });
  // the server writes pg_catalog as nothing
  return { kind: "relation", oid, schema: schema === "" ? "pg_catalog" : schema, name, columns };
}

/** The old tuple where it is the whole row, and the byte that follows. */
function oldTuple(reader: Reader): { full: Tuple | null; next: number } {
  const which = reader.byte();
  if (which !== OLD && which !== KEY) return { full: null, next: which };
  const old = reader.tuple();
  return { full: which === OLD ? old : null, next: reader.byte() };
}

class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  byte(): number {
    this.#need(1);
    return this.#bytes[this.#at++] as number;
  }

  uint16(): number {
    this.#need(2);
    this.#at += 2;
    return this.#bytes.readUInt16BE(this.#at - 2);
  }

  uint32(): number {
    this.#need(4);
    this.#at += 4;
    return this.#bytes.readUInt32BE(this.#at - 4);
  }

  lsn(): Lsn {
    this.#need(8);
    this.#at += 8;
    return lsn(this.#bytes.readBigUInt64BE(this.#at - 8));
  }

  time(): number {
    this.#need(8);
    this.#at += 8;
    return Number(this.#bytes.readBigInt64BE(this.#at - 8)) + EPOCH_US;
  }

  string(): string {
    const zero = this.#bytes.indexOf(0, this.#at);
    if (zero < 0) throw malformed("a name without an end");
    const text = this.#bytes.toString("utf8", this.#at, zero);
    this.#at = zero + 1;
    return text;
  }

  tuple(): Tuple {
    return this.many(this.uint16(), 1, () => this.#value());
  }

  /** `least` is what one takes at least, in bytes: room is made for no more than can be there. */
  many<T>(count: number, least: number, one: () => T): T[] {
    this.#need(count * least);
    const all = new Array<T>(count);
    for (let index = 0; index < count; index++) all[index] = one();
    return all;
  }

  #value(): string | null | undefined {
    const kind = this.byte();
    if (kind === TEXT) {
      const length = this.uint32();
      this.#need(length);
      this.#at += length;
      return this.#bytes.toString("utf8", this.#at - length, this.#at);
    }
    if (kind === NULL) return null;
    if (kind === UNCHANGED) return undefined;
    throw malformed(`a value of kind ${kind}`);
  }

  expect(wanted: number): void {
    const found = this.byte();
    if (found !== wanted) throw malformed(`${found} in the place of ${wanted}`);
  }

  skip(bytes: number): void {
    this.#need(bytes);
    this.#at += bytes;
  }

  end(): void {
    if (this.#at !== this.#bytes.length) throw malformed("more than its message holds");
  }

  #need(bytes: number): void {
    if (this.#at + bytes > this.#bytes.length) throw malformed("a message that is cut short");
  }
}

const malformed = (what: string): TomboloError =>
  new TomboloError(`the replication stream holds ${what}`, {
    code: "SLOT_PROTOCOL",
    kind: "operator",
    hint: "This server speaks another version of pgoutput: upgrade Tombolo, or use `capture: trigger`.",
  });
