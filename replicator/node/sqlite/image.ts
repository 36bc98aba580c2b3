import { isUtf8 } from "node:buffer";
import type { Column } from "../../change/shape.ts";
import type { Row, Value } from "../../change/value.ts";

/** An image of the log: SQL literals with commas between them (see capture.ts). */
export type Image = string;

const QUOTE = 0x27;
const X = 0x58;
const T = 0x74;

/** The literals of an image, in order. */
export function splitImage(image: Image): string[] {
  const literals: string[] = [];
  for (let start = 0; ; ) {
    const end = endOfLiteral(image, start);
    literals.push(image.slice(start, end));
    if (end >= image.length) return literals;
    start = end + 1;
  }
}

/** Where the literal ends that begins at `start`. */
export function endOfLiteral(image: Image, start: number): number {
  const code = image.charCodeAt(start);
  if (code !== QUOTE && code !== X && code !== T) {
    const comma = image.indexOf(",", start);
    return comma < 0 ? image.length : comma;
  }
  for (let at = image.indexOf("'", start) + 1; ; at += 2) {
    at = image.indexOf("'", at);
    if (at < 0) throw new Error("the log holds an image that does not end");
    if (image.charCodeAt(at + 1) !== QUOTE) return at + 1;
  }
}

/** A literal as the JSON text of a `Value`. */
export function literalToJson(literal: string): string {
  const code = literal.charCodeAt(0);
  if (code === QUOTE) return PLAIN.test(literal) ? `"${literal.slice(1, -1)}"` : JSON.stringify(unquoted(literal));
  if (code === X) return `{"b":"${literal.slice(2, -1).toLowerCase()}"}`;
  if (code === T) return JSON.stringify(textOfBytes(Buffer.from(literal.slice(2, -1), "hex")));
  if (literal === "NULL") return "null";
  return isInteger(literal) ? `{"i":"${literal}"}` : `{"r":"${realText(literal)}"}`;
}

/** A text of which JSON writes every character as the literal does; half the time of JSON.stringify. */
const PLAIN = /^'[ !#-&(-[\]-\ud7ff]*'$/;

export const literalToValue = (literal: string): Value => JSON.parse(literalToJson(literal)) as Value;

export function imageToRow(image: Image, columns: readonly Column[]): Row {
  const row: { [column: string]: Value } = {};
  const literals = splitImage(image);
  for (const [at, column] of columns.entries()) row[column.name] = literalToValue(literals[at] ?? "NULL");
  return row;
}

function unquoted(literal: string): string {
  const inner = literal.slice(1, -1);
  return inner.includes("''") ? inner.replaceAll("''", "'") : inner;
}

function isInteger(literal: string): boolean {
  for (let at = literal.charCodeAt(0) === 0x2d ? 1 : 0; at < literal.length; at++) {
    const code = literal.charCodeAt(at);
    if (code < 0x30 || code > 0x39) return false;
  }
  return true;
}

/** `Inf` is how older versions print an infinity, `9.0e+999` newer ones. */
function realText(literal: string): string {
  if (literal === "Inf") return "Infinity";
  return literal === "-Inf" ? "-Infinity" : String(Number(literal));
}

/**
 * Text that is not UTF-8 becomes a string that is not well-formed: each offending byte is a lone surrogate U+DC80..U+DCFF (as in Python's
 * surrogateescape). Nothing is lost, and every target refuses such a string by the name of its column.
 */
export function textOfBytes(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString("utf8");
  let text = "";
  for (let at = 0; at < bytes.length; ) {
    const length = sequenceLength(bytes, at);
    if (length > 0) text += bytes.toString("utf8", at, at + length);
    else text += String.fromCharCode(0xdc00 + (bytes[at] as number));
    at += Math.max(length, 1);
  }
  return text;
}

/** Bytes of the UTF-8 sequence that begins here; 0 when none does. */
function sequenceLength(bytes: Buffer, at: number): number {
  for (let length = 1; length <= 4 && at + length <= bytes.length; length++) {
    if (isUtf8(bytes.subarray(at, at + length))) return length;
  }
  return 0;
}

/** An image read as bytes, as exact as `textOfBytes`: what stands between the literals is ASCII. */
export const imageOfBytes = (bytes: Buffer): Image => textOfBytes(bytes);

/** A decoder puts U+FFFD where bytes are not UTF-8; the text may of course hold that character itself. */
export const mayBeDamaged = (image: Image | null): boolean => image?.includes("\ufffd") === true;
