import type { Change, Op } from "./change.ts";
import type { Part } from "./packet.ts";
import { corrupt, tooLarge } from "./packet-errors.ts";
import type { PacketLimits } from "./packet-limits.ts";

const FIELDS = 6;
const NUMBER = /^(0|-?[1-9]\d{0,15})$/;

/**
 * Reads the text of a part as a stranger may have written it: every row is checked to be an object of values, each name once,
 * before it is passed on as text. Throws `PACKET_CORRUPT` or `PACKET_TOO_LARGE` (operator).
 */
export function parsePart(text: string, tables: number, rows: number, limits: PacketLimits): Part {
  const lines = text.split("\n");
  if (lines.pop() !== "") throw corrupt("A part does not end with a line.");
  if (lines.length === 0) throw corrupt("A part is empty.");
  if (lines.length > rows) throw tooLarge(`It holds more than ${limits.rows} changes.`);
  return lines.map((line) => parseChange(line, tables, limits.depth));
}

function parseChange(line: string, tables: number, depth: number): Change {
  const fields = line.split("\t");
  if (fields.length !== FIELDS) throw corrupt("A change does not have six fields.");
  const [table = "", op = "", changedAt = "", key = "", old = "", now = ""] = fields;
  if (!NUMBER.test(table) || Number(table) < 0 || Number(table) >= tables)
    throw corrupt("A change names a table that the header does not.");
  if (!NUMBER.test(changedAt) || !Number.isSafeInteger(Number(changedAt))) throw corrupt("A change has no time.");
  if (!fits(op, key, old, now)) throw corrupt("A change does not have the images of its operation.");
  for (const row of [key, old, now]) if (row !== "") checkRow(row, depth);
  return { table: Number(table), op, key, old: old || null, new: now || null, changedAt: Number(changedAt) };
}

/** Which images an operation has: see `Change`. */
function fits(op: string, key: string, old: string, now: string): op is Op {
  switch (op) {
    case "I":
      return key !== "" && old === "" && now !== "";
    case "U":
      return key !== "" && old !== "" && now !== "";
    case "D":
      return key !== "" && now === "";
    case "R":
      return key !== "" && old === "";
    case "T":
      return key === "" && old === "" && now === "";
    default:
      return false;
  }
}

/** A name that stands twice would be read differently by different parsers, so that one could check what another does not use. */
function checkRow(text: string, depth: number): void {
  const seen = scan(text);
  if (seen.depth > depth) throw tooLarge("A row is nested too deeply.");
  let row: unknown;
  try {
    row = JSON.parse(text);
  } catch {
    throw corrupt("A row is not JSON.");
  }
  if (typeof row !== "object" || row === null || Array.isArray(row)) throw corrupt("A row is not an object.");
  const values = Object.values(row);
  const wrapped = values.filter((value) => typeof value === "object" && value !== null);
  if (!values.every(isValue)) throw corrupt("A row holds something that is not a value.");
  if (seen.names !== values.length + wrapped.length) throw corrupt("A row has a column twice.");
}

function isValue(value: unknown): boolean {
  if (value === null || typeof value === "string") return true;
  if (typeof value !== "object") return false;
  const [entry, ...others] = Object.entries(value);
  if (entry === undefined || others.length > 0 || typeof entry[1] !== "string") return false;
  const [kind, text] = entry;
  if (kind === "i") return /^-?\d{1,19}$/.test(text);
  if (kind === "b") return /^(?:[0-9a-f]{2})*$/.test(text);
  return kind === "r" && /^(?:-?Infinity|-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)$/i.test(text);
}

/** How deep the brackets of a JSON text go, without recursion; for text that is not JSON, some number. */
export const jsonDepth = (text: string): number => scan(text).depth;

const QUOTE = 34;
const COLON = 58;
const BACKSLASH = 92;

/** The depth of the brackets, and how many names (colons outside strings) there are. */
function scan(text: string): { depth: number; names: number } {
  let deepest = 0;
  let depth = 0;
  let names = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      for (at++; at < text.length && text.charCodeAt(at) !== QUOTE; at++) if (text.charCodeAt(at) === BACKSLASH) at++;
    } else if (code === COLON) names++;
    else if (code === 123 || code === 91) deepest = Math.max(deepest, ++depth);
    else if (code === 125 || code === 93) depth--;
  }
  return { depth: deepest, names };
}
