import { createHash, hash } from "node:crypto";

/**
 * What two nodes compare instead of rows. A row is the texts of its columns as Postgres prints a record of them, which is unambiguous: `("a b",,12)`
 * is a text with a blank, NULL and 12. Its digest is the MD5 of that in UTF-8, 128 bits as 32 hex digits: an accident is to be found here, not an attack.
 */
export function recordText(values: readonly (string | null)[]): string {
  let text = "(";
  for (let at = 0; at < values.length; at++) {
    const value = values[at] as string | null;
    if (at > 0) text += ",";
    if (value === null) continue;
    if (value === "" || QUOTED.test(value)) text += `"${DOUBLED.test(value) ? value.replace(DOUBLED_ALL, "$&$&") : value}"`;
    else text += value;
  }
  return `${text})`;
}

const QUOTED = /["\\(), \t\n\v\f\r]/;
const DOUBLED = /["\\]/;
const DOUBLED_ALL = /["\\]/g;

export function digestOf(values: readonly (string | null)[]): string {
  const text = recordText(values);
  // what is no Unicode (bytes of a SQLite text) would all be one and the same in UTF-8; Postgres has no such text to compare with
  return text.isWellFormed() ? hash("md5", text, "hex") : hash("md5", Buffer.from(text, "utf16le"), "hex");
}

/** The digest of many rows. None of them cancels another, as with XOR two rows would that differ alike. */
export interface RowsDigest {
  readonly rows: number;
  readonly digest: string;
}

/** Rows in an order that both nodes know: the MD5 of their digests, one behind the other. `""` of no row. */
export class ChainDigest implements RowsDigest {
  readonly #hash = createHash("md5");
  #pending = "";
  #digest: string | undefined;
  rows = 0;

  add(digest: string): void {
    this.rows += 1;
    this.#pending += digest;
    if (this.#pending.length < 1 << 16) return;
    this.#hash.update(this.#pending);
    this.#pending = "";
  }

  /** Nothing is added afterwards. */
  get digest(): string {
    this.#digest ??= this.rows === 0 ? "" : this.#hash.update(this.#pending).digest("hex");
    return this.#digest;
  }
}

/** Rows in whatever order: the two halves of their digests, each summed modulo 2^64. `""` of no row. */
export class SumDigest implements RowsDigest {
  // each is a sum of 32 bits: exact up to two million rows, and carried over before
  readonly #parts = [0, 0, 0, 0];
  #high = 0n;
  #low = 0n;
  rows = 0;

  add(digest: string): void {
    this.rows += 1;
    for (let part = 0; part < 4; part++)
      this.#parts[part] = (this.#parts[part] as number) + Number.parseInt(digest.slice(part * 8, part * 8 + 8), 16);
    if (this.rows % (1 << 20) === 0) this.#carry();
  }

  get digest(): string {
    if (this.rows === 0) return "";
    this.#carry();
    return sumsText(this.#high, this.#low);
  }

  #carry(): void {
    const [a = 0, b = 0, c = 0, d = 0] = this.#parts.splice(0, 4, 0, 0, 0, 0);
    this.#high += (BigInt(a) << 32n) + BigInt(b);
    this.#low += (BigInt(c) << 32n) + BigInt(d);
  }
}

/** Two sums, of whatever size and sign, as the digest of a `SumDigest`. */
export const sumsText = (high: bigint, low: bigint): string => half(high) + half(low);

const half = (sum: bigint): string => BigInt.asUintN(64, sum).toString(16).padStart(16, "0");
